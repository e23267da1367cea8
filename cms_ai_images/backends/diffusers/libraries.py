"""The heavy libraries, asked for where they are needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module

from cms_ai_images.exceptions import BackendNotInstalled

LIBRARIES = ("torch", "transformers", "accelerate", "safetensors", "diffusers")


PATIENT_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""Idle OpenMP threads sleep instead of spinning. On a busy machine a spinning one keeps the processor from the thread
that it waits for: a small picture took 40 s on two loaded cores, and takes 1 s like this. What an administrator set
stays."""


def require_libraries(libraries: Sequence[str] = LIBRARIES) -> None:
    """Import what the extra `worker` brings, or some of it. Raises `BackendNotInstalled` for the first that fails."""
    for name, value in PATIENT_THREADS.items():
        os.environ.setdefault(name, value)  # read once, when torch loads its OpenMP library
    for library in libraries:
        try:
            import_module(library)
        except ImportError as error:
            raise BackendNotInstalled(library=library, extra="worker") from error


def quieten_libraries() -> None:
    """No progress bars: a worker's output is a log, and the steps are reported elsewhere."""
    import diffusers
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
