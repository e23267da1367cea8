"""The clock of a stage: how far it is, which learning rate that gives, when to save."""

from __future__ import annotations

import math
import time

import torch


class Budget:
    """Minutes to spend. ``used`` seconds are those of the runs before, when a stage goes on."""

    def __init__(self, minutes: float, used: float = 0.0) -> None:
        self.seconds = minutes * 60
        self._start = time.monotonic() - used

    @property
    def used(self) -> float:
        """Seconds spent, those before a resumption included."""
        return time.monotonic() - self._start

    @property
    def progress(self) -> float:
        """0 at the start, 1 when the time is up."""
        return min(1.0, self.used / self.seconds)

    def learning_rate(self, peak: float, warm_up: float = 0.03) -> float:
        """Linear up, then a cosine down to nothing, by time instead of steps: the machine may be shared."""
        done = self.progress
        if done < warm_up:
            return peak * (done / warm_up + 0.02)
        return peak * 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))


class Every:
    """True once per so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether that long has passed since the last time this was true."""
        if time.monotonic() - self._last < self.seconds:
            return False
        self._last = time.monotonic()
        return True


def find_device() -> torch.device:
    """The fastest there is."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
