"""A backend without a model: it paints gradients, at once and the same on every machine.

A picture to start from shines through, the more the less strength is asked for.

For tests that are not about pictures, for trying out editors and layouts, and to rehearse bad days.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageOps

from cms_ai_images.exceptions import AIImagesError, GenerationError, OutOfMemory, by_code
from cms_ai_images.types import PREVIEW_SIDE, GeneratedPicture, GenerationParameters, Operation, StepCallback

from .base import Backend, keep_unmasked


class DummyBackend(Backend):
    """Its `options`, all of which may be absent:

    - `step_seconds`: how long a step takes, however many pictures are drawn in it
    - `fail`: the code of an exception to raise instead of drawing
    - `fail_prompt`: a request whose prompt contains this text spoils the call with a `GenerationError`
    - `memory`: how many pictures fit into one call; with more it raises `OutOfMemory`
    """

    operations = frozenset({Operation.TEXT_TO_IMAGE.value, Operation.IMAGE_TO_IMAGE.value, Operation.INPAINT.value})
    supports_batches = True

    def generate(self, requests: Sequence[GenerationParameters], on_step: StepCallback) -> list[list[GeneratedPicture]]:
        self._rehearse_failure(requests)
        steps = requests[0].steps
        for step in range(1, steps + 1):
            time.sleep(self.spec.options.get("step_seconds", 0.0))
            on_step(step, steps, lambda: [paint_small(parameters) for parameters in requests])
        return [
            [GeneratedPicture(image=image, seed=seed) for image, seed in zip(paint_all(each), each.seeds, strict=True)]
            for each in requests
        ]

    def _rehearse_failure(self, requests: Sequence[GenerationParameters]) -> None:
        options = self.spec.options
        if "fail" in options:
            raise self._failure(options["fail"])
        if "fail_prompt" in options and any(options["fail_prompt"] in each.prompt for each in requests):
            raise GenerationError
        if sum(each.num_images for each in requests) > options.get("memory", float("inf")):
            raise OutOfMemory

    def _failure(self, code: str) -> AIImagesError:
        error = by_code(code)
        if error is None:
            raise ValueError(f"No exception has the code {code!r}.")
        words: dict[str, Any] = dict.fromkeys(
            ("detail", "file", "library", "extra", "known", "dtype", "option"), "rehearsal"
        )
        return error(model=self.spec.slug, backend="dummy", seconds=0, matched=0, total=1, **words)


def paint(prompt: str, seed: int, size: tuple[int, int]) -> Image.Image:
    """A two-coloured gradient that depends on the prompt and the seed alone. `size` is (width, height) in pixels."""
    digest = hashlib.sha256(f"{seed}:{prompt}".encode()).digest()
    gradient = Image.linear_gradient("L").rotate(90 * (digest[0] % 4)).resize(size, Image.Resampling.BILINEAR)
    dark, light = (digest[1] // 2, digest[2] // 2, digest[3] // 2), tuple(255 - byte // 2 for byte in digest[4:7])
    return ImageOps.colorize(gradient, black=dark, white=light)  # type: ignore[arg-type]


def paint_all(parameters: GenerationParameters) -> list[Image.Image]:
    """The pictures of one request."""
    size = (parameters.width, parameters.height)
    painted = [paint(parameters.prompt, seed, size) for seed in parameters.seeds]
    if not parameters.pictures:
        return painted
    strength = 1.0 if parameters.strength is None else parameters.strength
    return [keep_unmasked(Image.blend(parameters.pictures[0], picture, strength), parameters) for picture in painted]


def paint_small(parameters: GenerationParameters) -> list[Image.Image]:
    """The same pictures as previews: this painter knows from the start what it will paint."""
    pictures = paint_all(parameters)
    for picture in pictures:
        picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    return pictures
