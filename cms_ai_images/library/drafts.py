"""Draft bytes: the picture as it was made, and a small preview beside it."""

from __future__ import annotations

from cms_ai_images.exceptions import DraftGone
from cms_ai_images.library import files
from cms_ai_images.models import GeneratedImage
from cms_ai_images.storage import draft_storage

PREVIEW_SUFFIX = ".preview.webp"


def preview_key(key: str) -> str:
    """Where the preview of a draft lies."""
    return f"{key}{PREVIEW_SUFFIX}"


def write(key: str, data: bytes) -> None:
    """Store bytes under exactly this key. The key holds the content's hash, so a second writing changes nothing.

    Raises `StorageUnavailable` when the storage fails.
    """
    storage = draft_storage()
    with files.failures_as_unavailable():
        stored = files.put(storage, key, data)
        if stored != key:  # a killed attempt left the start of it; no other one is at work, for this one has the claim
            storage.delete(key)
            storage.delete(stored)
            files.put(storage, key, data)


def read(image: GeneratedImage, *, preview: bool = False) -> bytes:
    """The bytes of a draft. Raises `DraftGone` when there are none, `StorageUnavailable` when the storage fails."""
    if not image.file:
        raise DraftGone
    name = str(image.file.name)
    key = preview_key(name) if preview else name
    try:
        with files.failures_as_unavailable(), draft_storage().open(key) as file:
            return bytes(file.read())
    except FileNotFoundError as error:
        raise DraftGone from error


def delete(key: str) -> None:
    """Remove a draft and its preview. Harmless when they are gone; what stays behind falls to the purge."""
    for name in (key, preview_key(key)):
        files.remove(draft_storage(), name)
