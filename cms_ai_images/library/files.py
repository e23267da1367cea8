"""Storing bytes so that a second try, or somebody else's at the same moment, ends with a whole file."""

from __future__ import annotations

import logging

from django.core.files.base import ContentFile
from django.core.files.storage import Storage

logger = logging.getLogger(__name__)


def put(storage: Storage, name: str, data: bytes) -> str:
    """Store bytes under a name that is made of their hash. Returns the name that they have.

    A file of that name and size is taken for ours. One of another size is still being written, or was when its process
    was killed; then the storage gives ours another name.
    """
    if _is_whole(storage, name, data):
        return name
    stored = storage.save(name, ContentFile(data))
    if stored != name and _is_whole(storage, name, data):
        storage.delete(stored)  # another process has finished the same in between
        return name
    return stored


def remove(storage: Storage, name: str) -> None:
    """Delete a file. Harmless when it is gone; when the storage fails the file stays behind, and the log says so."""
    try:
        storage.delete(name)
    except OSError as error:
        logger.warning("The file %s could not be deleted: %s", name, error)


def _is_whole(storage: Storage, name: str, data: bytes) -> bool:
    return storage.exists(name) and storage.size(name) == len(data)
