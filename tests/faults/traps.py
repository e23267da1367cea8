"""Trouble laid out in files by the harness, for whichever process comes by first.

A trap goes off once, in one process: springing it renames its file, which the file system does for one of them only.
The new name tells which process it was.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

from django.conf import settings

_numbers = itertools.count()


def folder() -> Path:
    """Where this day's traps are."""
    path: Path = settings.VAR / "traps"
    path.mkdir(exist_ok=True)
    return path


def lay(place: str, kind: str, *, times: int = 1, **details: Any) -> None:
    """Let the next `times` who come by `place` meet this kind of trouble."""
    for _ in range(times):
        path = folder() / f"{place}-{next(_numbers):06d}"
        path.with_suffix(".new").write_text(json.dumps({"kind": kind, **details}))
        path.with_suffix(".new").rename(path.with_suffix(".trap"))


def spring(place: str) -> dict[str, Any] | None:
    """The trouble that waits at this place, if any; nobody else meets it."""
    for path in sorted(folder().glob(f"{place}-*.trap")):
        sprung = path.with_suffix(f".{os.getpid()}.sprung")
        try:
            path.rename(sprung)
        except FileNotFoundError:
            continue  # another process was first
        return dict(json.loads(sprung.read_text()))
    return None


def victim(place: str, seconds: float = 15.0) -> int | None:
    """Wait for a process to walk into a trap; its id, or `None` when nobody came."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for path in folder().glob(f"{place}-*.sprung"):
            return int(path.suffixes[-2].removeprefix("."))
        time.sleep(0.02)
    return None


def clear() -> int:
    """Take all traps away. Returns how many have gone off."""
    sprung = 0
    for path in folder().iterdir():
        sprung += path.suffix == ".sprung"
        path.unlink(missing_ok=True)
    return sprung
