"""Several operations, one set of weights."""

from __future__ import annotations

from typing import Any

from cms_ai_images.exceptions import OperationNotSupported
from cms_ai_images.types import ModelSpec, Operation


def share(pipeline: Any, spec: ModelSpec, operation: str) -> Any:
    """The pipeline that does this operation with the components of a text-to-image one: no weight is copied.

    They share the scheduler as well, which keeps the state of a call: one call at a time over all of them. Raises
    `OperationNotSupported` where diffusers has no such pipeline for this family.
    """
    from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting

    if operation == Operation.TEXT_TO_IMAGE:
        return pipeline
    families = {
        Operation.IMAGE_TO_IMAGE.value: AutoPipelineForImage2Image,
        Operation.INPAINT.value: AutoPipelineForInpainting,
    }
    if operation not in families:
        raise OperationNotSupported(model=spec.slug)
    try:
        shared = families[operation].from_pipe(pipeline)
    except ValueError as error:
        raise OperationNotSupported(model=spec.slug) from error
    shared.set_progress_bar_config(disable=True)
    return shared
