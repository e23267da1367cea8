"""Storing bytes so that a second try, or somebody else's at the same moment, ends with a whole file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.files.base import ContentFile
from django.core.files.storage import Storage

from cms_ai_images.exceptions import AIImagesError, StorageUnavailable

logger = logging.getLogger(__name__)


@contextmanager
def failures_as_unavailable() -> Iterator[None]:
    """Raise `StorageUnavailable` for whatever a storage raises, except that a file is not there.

    Each backend has errors of its own (botocore's, Google's, Azure's, the file system's), and none of them can be
    imported here.
    """
    try:
        yield
    except (AIImagesError, FileNotFoundError):
        raise
    except Exception as error:
        raise StorageUnavailable from error


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
        with failures_as_unavailable():
            storage.delete(name)
    except (StorageUnavailable, FileNotFoundError) as error:
        logger.warning("The file %s could not be deleted: %s", name, error.__cause__ or error)


def _is_whole(storage: Storage, name: str, data: bytes) -> bool:
    return storage.exists(name) and storage.size(name) == len(data)
