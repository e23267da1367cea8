"""A file system with bad days."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage

from . import traps


class ServiceError(Exception):
    """What clients of object storages raise for a 500: nothing that Django or Python knows."""


class TroubledStorage(FileSystemStorage):
    """Keeps files as `FileSystemStorage` does, until it meets a trap at its `place`, whose kind is one of

    - `error`: fails as an object storage does
    - `full`: writes half of the bytes, then there is no space left
    - `half`: writes half of the bytes, then hangs for `seconds`
    - `hang_before`, `hang_after`: hangs for `seconds` before, or after, writing all the bytes
    """

    def __init__(self, *, place: str = "public", **options: Any) -> None:
        super().__init__(**options)
        self.place = place

    def _save(self, name: str, content: Any) -> str:
        trap = traps.spring(self.place)
        if trap is None:
            return super()._save(name, content)
        data = content.read()
        kind = trap["kind"]
        if kind == "error":
            raise ServiceError("500 Internal Server Error")
        if kind == "full":
            self._write_half(name, data)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if kind == "half":
            self._write_half(name, data, seconds=trap["seconds"])
            return name
        if kind == "hang_before":
            time.sleep(trap["seconds"])
        stored = super()._save(name, ContentFile(data))
        if kind == "hang_after":
            time.sleep(trap["seconds"])
        return stored

    def _write_half(self, name: str, data: bytes, *, seconds: float | None = None) -> None:
        """Write the first half and, after a pause, the second one into the same open file."""
        path = Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            if seconds is not None:
                time.sleep(seconds)
                file.write(data[len(data) // 2 :])
