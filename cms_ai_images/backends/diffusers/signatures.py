"""What a pipeline can be called with, and what it makes of it; both differ from class to class."""

from __future__ import annotations

import inspect
from typing import Any

from cms_ai_images.types import GenerationParameters


def accepted_names(pipeline: Any) -> frozenset[str]:
    """The names of the arguments that this pipeline takes."""
    return frozenset(inspect.signature(pipeline.__call__).parameters)


def is_guided(pipeline: Any, parameters: GenerationParameters) -> bool:
    """Whether the pipeline computes a second, unconditional prediction for this guidance scale.

    It begins above 1 in the Stable Diffusion family and above 0 in Z-Image; the pipeline knows, from the scale that a
    call leaves in it.
    """
    pipeline._guidance_scale = parameters.guidance_scale
    return bool(pipeline.do_classifier_free_guidance)
