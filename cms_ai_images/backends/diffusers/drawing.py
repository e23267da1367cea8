"""One request through a pipeline: seeds in, steps reported, pictures out."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Iterator
from typing import Any

from cms_ai_images.exceptions import PictureBroken, PictureWithheld
from cms_ai_images.types import GeneratedPicture, GenerationParameters, StepCallback

logger = logging.getLogger(__name__)


class StepReporter:
    """Turns a pipeline's callback into a `StepCallback`, and remembers what that raised.

    A scheduler may take more steps than were asked for (PNDM one more, Heun almost twice as many), so the total is the
    pipeline's own count, times the number of calls that a request needs.
    """

    def __init__(self, on_step: StepCallback, *, steps: int, calls: int) -> None:
        self.on_step = on_step
        self.steps = steps
        self.calls = calls
        self.done = 0
        self.stopped_by: BaseException | None = None

    def __call__(self, pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        self.done += 1
        try:
            self.on_step(self.done, getattr(pipeline, "num_timesteps", self.steps) * self.calls)
        except BaseException as error:
            self.stopped_by = error
            raise
        return tensors


def draw(pipeline: Any, model: str, parameters: GenerationParameters, reporter: StepReporter) -> list[GeneratedPicture]:
    """All pictures of a request, in as few calls as the pipeline allows.

    Raises `PictureBroken` when a picture is not made of numbers, `PictureWithheld` when the model's own safety checker
    let none through, and whatever the pipeline raises.
    """
    pictures: list[GeneratedPicture] = []
    for seeds in split(pipeline, parameters.seeds):
        output = pipeline(**arguments(pipeline, parameters, seeds, reporter))
        pictures += to_pictures(pipeline, model, output, parameters, seeds)
    if not pictures:
        raise PictureWithheld()
    return pictures


def split(pipeline: Any, seeds: list[int]) -> list[list[int]]:
    """The seeds of each call: all at once, or one by one where a pipeline draws one picture for a prompt."""
    return [seeds] if "num_images_per_prompt" in accepted_names(pipeline) else [[seed] for seed in seeds]


def arguments(
    pipeline: Any, parameters: GenerationParameters, seeds: list[int], reporter: StepReporter
) -> dict[str, Any]:
    """What to call the pipeline with: of everything there is to say, what its signature takes.

    The noise is drawn on the CPU, with a generator for each picture: a seed then means the same picture on every
    device, alone or in a batch. The prompt is a string, since Z-Image writes its template into a caller's list.
    """
    import torch

    width, height = canvas(pipeline, parameters)
    wishes = {
        "prompt": parameters.prompt,
        "negative_prompt": parameters.negative_prompt or None,
        "width": width,
        "height": height,
        "num_inference_steps": parameters.steps,
        "guidance_scale": parameters.guidance_scale,
        "num_images_per_prompt": len(seeds),
        "generator": [torch.Generator("cpu").manual_seed(seed) for seed in seeds],
        "callback_on_step_end": reporter,
        # The older way, which PixArt and a few others still have: (step, timestep, latents).
        "callback": lambda step, timestep, latents: reporter(pipeline, step, timestep, {}),
        "output_type": "np",
    }
    names = accepted_names(pipeline)
    return {name: value for name, value in wishes.items() if name in names and value is not None}


def accepted_names(pipeline: Any) -> frozenset[str]:
    """The names of the arguments that this pipeline takes; they differ from class to class."""
    return frozenset(inspect.signature(pipeline.__call__).parameters)


def canvas(pipeline: Any, parameters: GenerationParameters) -> tuple[int, int]:
    """The (width, height) to draw, in pixels: the wanted size, rounded up to what the model can do.

    Latents and patches make a grid; Z-Image's, for one, has cells of 16 pixels, which 1920 x 1080 does not fill.
    """
    processor = getattr(pipeline, "image_processor", None)
    cell = math.lcm(8, processor.config.vae_scale_factor if processor else 8)
    return math.ceil(parameters.width / cell) * cell, math.ceil(parameters.height / cell) * cell


def to_pictures(
    pipeline: Any, model: str, output: Any, parameters: GenerationParameters, seeds: list[int]
) -> Iterator[GeneratedPicture]:
    """The pictures of one call, cropped to the wanted size; without those that the model's safety checker withheld.

    `output.images` is a float array of shape (pictures, height, width, 3) with values in [0, 1]. It is not taken as
    finished pictures, because those would show overflowed numbers (NaN) as an innocent black.
    """
    import numpy as np
    from PIL import Image

    withheld = getattr(output, "nsfw_content_detected", None) or [False] * len(seeds)
    for values, seed, is_withheld in zip(output.images, seeds, withheld, strict=True):
        if is_withheld:
            logger.info("%s: the safety checker withheld the picture of seed %d.", model, seed)
            continue
        if not np.isfinite(values).all():
            raise PictureBroken(model=model, dtype=str(pipeline.dtype).removeprefix("torch."))
        image = Image.fromarray((values * 255).round().astype(np.uint8))
        yield GeneratedPicture(image=crop(image, parameters.width, parameters.height), seed=seed)


def crop(image: Any, width: int, height: int) -> Any:
    """The middle of a picture, `width` x `height` pixels."""
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
