"""A backend without a model: it paints gradients, at once and the same on every machine.

For tests that are not about pictures, for trying out editors and layouts, and to rehearse bad days.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

from PIL import Image, ImageOps

from cms_ai_images.exceptions import AIImagesError
from cms_ai_images.types import GeneratedPicture, GenerationParameters, StepCallback

from .base import Backend


class DummyBackend(Backend):
    """Options: `step_seconds`, how long a step takes (0.0), and `fail`, the code of an exception to raise instead."""

    def generate(self, parameters: GenerationParameters, on_step: StepCallback) -> list[GeneratedPicture]:
        if "fail" in self.spec.options:
            raise self._failure(self.spec.options["fail"])
        for step in range(1, parameters.steps + 1):
            time.sleep(self.spec.options.get("step_seconds", 0.0))
            on_step(step, parameters.steps)
        size = (parameters.width, parameters.height)
        return [GeneratedPicture(image=paint(parameters.prompt, seed, size), seed=seed) for seed in parameters.seeds]

    def _failure(self, code: str) -> AIImagesError:
        for exception in _subclasses(AIImagesError):
            if exception.code == code:
                return exception(
                    model=self.spec.slug,
                    detail="rehearsal",
                    file="rehearsal.bin",
                    library="rehearsal",
                    extra="worker",
                    backend="dummy",
                    known="dummy",
                    seconds=0,
                )
        raise ValueError(f"No exception has the code {code!r}.")


def paint(prompt: str, seed: int, size: tuple[int, int]) -> Image.Image:
    """A two-coloured gradient that depends on the prompt and the seed alone. `size` is (width, height) in pixels."""
    digest = hashlib.sha256(f"{seed}:{prompt}".encode()).digest()
    gradient = Image.linear_gradient("L").rotate(90 * (digest[0] % 4)).resize(size, Image.Resampling.BILINEAR)
    dark, light = (digest[1] // 2, digest[2] // 2, digest[3] // 2), tuple(255 - byte // 2 for byte in digest[4:7])
    return ImageOps.colorize(gradient, black=dark, white=light)  # type: ignore[arg-type]


def _subclasses(parent: type[AIImagesError]) -> Iterator[type[AIImagesError]]:
    yield parent
    for child in parent.__subclasses__():
        yield from _subclasses(child)
