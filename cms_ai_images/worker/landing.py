"""Storing what was drawn: first the bytes, then the rows together with the task's success, in one transaction."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

from django.db import transaction

from cms_ai_images import outcomes
from cms_ai_images.exceptions import AIImagesError, LeaseLost
from cms_ai_images.library import drafts, intake
from cms_ai_images.models import GeneratedImage, GenerationTask
from cms_ai_images.models.images import draft_key
from cms_ai_images.types import Fence, GeneratedPicture, PictureDetails
from cms_ai_images.worker.encoding import encode, encode_preview

logger = logging.getLogger(__name__)


def land(task: GenerationTask, pictures: Sequence[GeneratedPicture], fence: Fence, *, model_revision: str) -> None:
    """Store the pictures and finish the task, or raise `LeaseLost` and leave no trace of a late result.

    Bytes are written before the rows that name them; killed in between, the next attempt writes the same keys again.
    """
    images = [_store(task, index, picture) for index, picture in enumerate(pictures)]
    with transaction.atomic():
        if not outcomes.succeeded(task, fence, delivered=len(images), model_revision=model_revision):
            raise LeaseLost
        GeneratedImage.objects.bulk_create(images)
    if task.auto_accept:
        accept_all(task)


def accept_all(task: GenerationTask) -> None:
    """Put every picture into the library. What fails stays a draft, and the reconciler tries again."""
    for image in GeneratedImage.objects.filter(task=task).select_related("task", "filer_image"):
        try:
            intake.accept(image, PictureDetails())
        except AIImagesError as error:
            logger.warning("Image %s stays a draft for now: %s", image.uuid, error)


def _store(task: GenerationTask, index: int, picture: GeneratedPicture) -> GeneratedImage:
    output_format = task.parameters["output_format"]
    data = encode(picture.image, output_format)
    image = GeneratedImage(
        task=task,
        index=index,
        seed=picture.seed,
        width=picture.image.width,
        height=picture.image.height,
        byte_size=len(data),
        output_format=output_format,
        sha256=hashlib.sha256(data).hexdigest(),
    )
    key = draft_key(image, "")
    drafts.write(key, data)
    drafts.write(drafts.preview_key(key), encode_preview(picture.image))
    image.file.name = key
    return image
