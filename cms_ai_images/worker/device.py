"""Which GPU a worker uses, and that it is there."""

from __future__ import annotations

import os

from cms_ai_images.backends.diffusers.libraries import require_libraries
from cms_ai_images.backends.diffusers.placement import choose_device, wanted_gpu


def use_device(number: str | None) -> None:
    """Let this process see that GPU alone; `None` is whatever the environment says.

    Raises `DeviceMissing` where a GPU is named and not there, before any task could end up on the CPU, and
    `BackendNotInstalled` where nothing is installed that could use one.
    """
    if number is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = number  # read when torch first looks for GPUs, which is later
    if wanted_gpu():
        require_libraries(["torch"])
        choose_device()
