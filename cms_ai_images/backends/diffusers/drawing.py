"""One call of a pipeline: pictures to draw in, steps reported, pictures out."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

from cms_ai_images.backends.base import keep_unmasked
from cms_ai_images.exceptions import PictureBroken
from cms_ai_images.types import GeneratedPicture, GenerationParameters, PreviewSource, StepCallback

from .batching import Shot, takes_several
from .errors import is_out_of_memory
from .previews import Frame, Previewer, foresee
from .signatures import accepted_names
from .texts import TextCache

logger = logging.getLogger(__name__)


class StepReporter:
    """Turns a pipeline's callback into a `StepCallback`, and remembers what that raised.

    A scheduler may take more steps than were asked for (PNDM one more, Heun almost twice as many), so the total is the
    pipeline's own count, times the number of calls that are still to be made.
    """

    def __init__(self, on_step: StepCallback, *, steps: int, previewer: Previewer | None = None) -> None:
        self.on_step = on_step
        self.steps = steps
        self.previewer = previewer
        self.done = 0
        self.stopped_by: BaseException | None = None
        self.preview_error: Exception | None = None
        """The model's own failure, though it came up while the caller looked at previews: GPUs report late."""

    def begin(self, shots: Sequence[Shot], *, requests: int, calls: int) -> None:
        """A call begins, which draws these pictures; with it, so many calls are left."""
        self.shots = shots
        self.requests = requests
        self.calls = calls
        self.done_before = self.done
        self.last_frame: Frame | None = None

    def __call__(self, pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        self.done += 1
        total = self.done_before + getattr(pipeline, "num_timesteps", self.steps) * self.calls
        previews = self._previews(pipeline.scheduler, tensors.get("latents"))
        try:
            self.on_step(self.done, total, previews)
        except BaseException as error:
            if error is not self.preview_error:
                self.stopped_by = error
            raise
        return tensors

    def _previews(self, scheduler: Any, latents: Any) -> PreviewSource | None:
        """Nothing is computed here: most steps are not looked at, and a GPU does not wait for those."""
        if self.previewer is None or not self.previewer.understands(latents):
            return None
        before, now = self.last_frame, Frame(latents=latents, index=getattr(scheduler, "step_index", None))
        self.last_frame = now
        return lambda: self._look(scheduler, now, before)

    def _look(self, scheduler: Any, now: Frame, before: Frame | None) -> list[list[Any]]:
        try:
            return self._group(self.previewer.images(foresee(scheduler, now, before)))  # type: ignore[union-attr]
        except Exception as error:
            if is_out_of_memory(error):
                return [[] for _ in range(self.requests)]  # the pictures matter, not the previews
            self.preview_error = error
            raise

    def _group(self, images: list[Any]) -> list[list[Any]]:
        groups: list[list[Any]] = [[] for _ in range(self.requests)]
        for shot, image in zip(self.shots, images, strict=True):
            groups[shot.request].append(image)
        return groups


def draw(
    pipeline: Any, model: str, texts: TextCache, shots: Sequence[Shot], reporter: StepReporter
) -> list[tuple[Shot, GeneratedPicture]]:
    """Draw some pictures in one call; those that the model's own safety checker withholds are left out.

    Raises `PictureBroken` when a picture is not made of numbers, and whatever the pipeline raises.
    """
    output = pipeline(**arguments(pipeline, texts, shots, reporter))
    return list(to_pictures(pipeline, model, output, shots))


def arguments(pipeline: Any, texts: TextCache, shots: Sequence[Shot], reporter: StepReporter) -> dict[str, Any]:
    """What to call the pipeline with: of everything there is to say, what its signature takes.

    The noise is drawn on the CPU, with a generator for each picture: a seed then means the same picture on every
    device, alone or in a batch.
    """
    import torch

    parameters = shots[0].parameters
    width, height = canvas(pipeline, parameters)
    wishes = {
        "width": width,
        "height": height,
        "num_inference_steps": parameters.steps,
        "guidance_scale": parameters.guidance_scale,
        "strength": parameters.strength,
        # One for each picture: its generator also draws how the VAE encodes it.
        **{
            name: [pad(shot.parameters.pictures[index], width, height) for shot in shots]
            for index, name in enumerate(("image", "mask_image")[: len(parameters.pictures)])
        },
        "generator": [torch.Generator("cpu").manual_seed(shot.seed) for shot in shots],
        "callback_on_step_end": reporter,
        # The older way, which PixArt and a few others still have: (step, timestep, latents).
        "callback": lambda step, timestep, latents: reporter(pipeline, step, timestep, {"latents": latents}),
        # A tensor, where that is known to be a finished picture: some older pipelines return it half done.
        "output_type": "pt" if hasattr(pipeline, "image_processor") else "np",
    }
    if texts.is_usable and takes_several(pipeline):
        wishes |= texts.arguments([shot.parameters for shot in shots])
    else:
        # Strings, of which a plan lets only equal ones into one call.
        wishes |= {
            "prompt": parameters.prompt,
            "negative_prompt": parameters.negative_prompt or None,
            "num_images_per_prompt": len(shots),
        }
    names = accepted_names(pipeline)
    return {name: value for name, value in wishes.items() if name in names and value is not None}


def canvas(pipeline: Any, parameters: GenerationParameters) -> tuple[int, int]:
    """The (width, height) to draw, in pixels: the wanted size, rounded up to what the model can do.

    Latents and patches make a grid; Z-Image's, for one, has cells of 16 pixels, which 1920 x 1080 does not fill.
    """
    processor = getattr(pipeline, "image_processor", None)
    cell = math.lcm(8, processor.config.vae_scale_factor if processor else 8)
    return math.ceil(parameters.width / cell) * cell, math.ceil(parameters.height / cell) * cell


def to_pictures(
    pipeline: Any, model: str, output: Any, shots: Sequence[Shot]
) -> Iterator[tuple[Shot, GeneratedPicture]]:
    """The pictures of one call, cropped to the wanted size.

    `output.images` holds numbers in [0, 1], not finished pictures, because those would show overflowed ones (NaN) as an
    innocent black. They become bytes on the device: a quarter to carry over, and no work for the thread that feeds it.
    """
    import torch
    from PIL import Image

    images = output.images
    if not torch.is_tensor(images):
        images = torch.from_numpy(images).movedim(-1, 1)
    are_numbers = images.isfinite().flatten(1).all(dim=1).tolist()
    values = (images.float() * 255).round().to(torch.uint8).movedim(1, -1).cpu().numpy()
    withheld = getattr(output, "nsfw_content_detected", None) or [False] * len(shots)
    for array, shot, is_number, is_withheld in zip(values, shots, are_numbers, withheld, strict=True):
        if is_withheld:
            logger.info("%s: the safety checker withheld the picture of seed %d.", model, shot.seed)
            continue
        if not is_number:
            raise PictureBroken(model=model, dtype=str(pipeline.dtype).removeprefix("torch."))
        image = crop(Image.fromarray(array), shot.parameters.width, shot.parameters.height)
        yield shot, GeneratedPicture(image=keep_unmasked(image, shot.parameters), seed=shot.seed)


def pad(image: Any, width: int, height: int) -> Any:
    """The same picture in the middle of `width` x `height` pixels, its edges going on: what `crop` takes away again."""
    import numpy
    from PIL import Image

    left, top = (width - image.width) // 2, (height - image.height) // 2
    right, bottom = width - image.width - left, height - image.height - top
    return Image.fromarray(numpy.pad(numpy.asarray(image), ((top, bottom), (left, right), (0, 0)), mode="edge"))


def crop(image: Any, width: int, height: int) -> Any:
    """The middle of a picture, `width` x `height` pixels."""
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
