"""The pictures that a task starts from, brought to the size that is drawn."""

from __future__ import annotations

import dataclasses
import hashlib
from io import BytesIO

from PIL import Image, ImageOps

from cms_ai_images.exceptions import AIImagesError, ReferenceGone
from cms_ai_images.library import references
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import GenerationParameters
from cms_ai_images.worker.batch import Member, leave
from cms_ai_images.worker.heartbeat import Heartbeat


def fetch(heartbeat: Heartbeat, members: list[Member]) -> None:
    """Give each member the pictures that it starts from. One whose pictures cannot be had leaves, and nobody else."""
    for member in members:
        if not member.ended and member.parameters.references:
            try:
                member.parameters = with_pictures(member.task, member.parameters)
            except AIImagesError as error:
                leave(heartbeat, member, error)


def with_pictures(task: GenerationTask, parameters: GenerationParameters) -> GenerationParameters:
    """The same parameters with their pictures. Raises `ReferenceGone` or `StorageUnavailable`."""
    found = {reference.sha256: reference for reference in task.references.all()}
    pictures = []
    for digest in parameters.references:
        if digest not in found:
            raise ReferenceGone
        data = references.read(found[digest])
        if hashlib.sha256(data).hexdigest() != digest:  # what the task was resolved with decides
            raise ReferenceGone
        pictures.append(fit(Image.open(BytesIO(data)).convert("RGB"), parameters.width, parameters.height))
    return dataclasses.replace(parameters, pictures=tuple(pictures))


def fit(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The middle of a picture in these proportions, `width` x `height` pixels."""
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
