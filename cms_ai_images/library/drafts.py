"""Draft bytes: the picture as it was made, and a small preview beside it."""

from __future__ import annotations

import logging

from django.core.files.base import ContentFile

from cms_ai_images.exceptions import DraftGone, StorageUnavailable
from cms_ai_images.models import GeneratedImage
from cms_ai_images.storage import draft_storage

logger = logging.getLogger(__name__)

PREVIEW_SUFFIX = ".preview.webp"


def preview_key(key: str) -> str:
    """Where the preview of a draft lies."""
    return f"{key}{PREVIEW_SUFFIX}"


def write(key: str, data: bytes) -> None:
    """Store bytes under exactly this key. The key holds the content's hash, so a second writing changes nothing."""
    storage = draft_storage()
    if not storage.exists(key):
        stored = storage.save(key, ContentFile(data))
        if stored != key:  # another attempt stored the same content in between, and the storage renamed ours
            storage.delete(stored)


def read(image: GeneratedImage, *, preview: bool = False) -> bytes:
    """The bytes of a draft. Raises `DraftGone` when there are none, `StorageUnavailable` when the storage fails."""
    if not image.file:
        raise DraftGone
    name = str(image.file.name)
    key = preview_key(name) if preview else name
    try:
        with draft_storage().open(key) as file:
            return bytes(file.read())
    except FileNotFoundError as error:
        raise DraftGone from error
    except OSError as error:
        raise StorageUnavailable from error


def delete(key: str) -> None:
    """Remove a draft and its preview. Harmless when they are gone; what stays behind falls to the purge."""
    for name in (key, preview_key(key)):
        try:
            draft_storage().delete(name)
        except OSError as error:
            logger.warning("The draft %s could not be deleted: %s", name, error)
