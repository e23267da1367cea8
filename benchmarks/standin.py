"""A GPU and a storage that only take their time, so that the machinery around them can be measured anywhere.

Waiting for a GPU releases Python's lock, and so does sleeping.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from django.core.files.storage import FileSystemStorage
from PIL import Image

from cms_ai_images.backends.base import Backend
from cms_ai_images.types import PREVIEW_SIDE, GeneratedPicture, GenerationParameters, StepCallback

LATENT_CHANNELS = 16
"""As Z-Image and FLUX have."""


class StandIn(Backend):
    """Takes `options["encode_seconds"]`, then `options["denoise_seconds"]` in equal steps, then `["decode_seconds"]`.

    Its picture is as hard to encode as a photo, and its previews cost what the real ones cost on the CPU.
    """

    supports_batches = True

    def load(self) -> None:
        self._photos: dict[tuple[int, int], Image.Image] = {}

    def generate(self, requests: Sequence[GenerationParameters], on_step: StepCallback) -> list[list[GeneratedPicture]]:
        options, steps = self.spec.options, requests[0].steps
        time.sleep(options.get("encode_seconds", 0.0))
        for step in range(1, steps + 1):
            time.sleep(options.get("denoise_seconds", 0.0) / steps)
            on_step(step, steps, lambda: [[preview() for _ in each.seeds] for each in requests])
        time.sleep(options.get("decode_seconds", 0.0))
        photo = self._photo((requests[0].width, requests[0].height))
        return [[GeneratedPicture(image=photo, seed=seed) for seed in each.seeds] for each in requests]

    def _photo(self, size: tuple[int, int]) -> Image.Image:
        if size not in self._photos:
            self._photos[size] = photo(size)
        return self._photos[size]


def photo(size: tuple[int, int]) -> Image.Image:
    """Shapes and some grain: PNG and WebP have as much to do with it as with a photo."""
    shapes = [Image.effect_noise((12, 12), 120).resize(size, Image.Resampling.BICUBIC) for _ in range(3)]
    grain = Image.effect_noise(size, 6)
    return Image.merge("RGB", [Image.blend(shape, grain, 0.2) for shape in shapes])


def preview() -> Image.Image:
    """What a preview of a real model costs beside the GPU: latents times a matrix."""
    import numpy as np

    latents = np.random.default_rng(0).standard_normal((PREVIEW_SIDE, PREVIEW_SIDE, LATENT_CHANNELS), dtype=np.float32)
    colours = (latents @ np.full((LATENT_CHANNELS, 3), 0.1, dtype=np.float32)).clip(0, 1)
    return Image.fromarray((colours * 255).astype(np.uint8))


class SlowStorage(FileSystemStorage):
    """A folder that answers as slowly as a storage far away: `seconds` for each file that it takes."""

    def __init__(self, *args: Any, seconds: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seconds = seconds

    def _save(self, name: str, content: Any) -> str:
        time.sleep(self.seconds)
        return super()._save(name, content)
