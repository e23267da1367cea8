"""The dummy backend on a bad device."""

from __future__ import annotations

import time
from collections.abc import Sequence

from cms_ai_images.backends.dummy import DummyBackend
from cms_ai_images.types import GeneratedPicture, GenerationParameters, StepCallback

from . import traps


class TroubledBackend(DummyBackend):
    """Its trap at the place `device` is a call that hangs for `seconds` and says nothing meanwhile."""

    def generate(self, requests: Sequence[GenerationParameters], on_step: StepCallback) -> list[list[GeneratedPicture]]:
        if trap := traps.spring("device"):
            time.sleep(trap["seconds"])
        return super().generate(requests, on_step)
