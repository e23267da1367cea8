"""The heavy libraries, asked for where they are needed."""

from __future__ import annotations

from importlib import import_module

from cms_ai_images.exceptions import BackendNotInstalled

LIBRARIES = ("torch", "transformers", "accelerate", "safetensors", "diffusers")


def require_libraries() -> None:
    """Import what the extra `worker` installs. Raises `BackendNotInstalled` for the first one that cannot be."""
    for library in LIBRARIES:
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
