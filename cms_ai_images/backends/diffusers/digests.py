"""Digests that a model's folder may bring along, so that a damaged file is named instead of drawn with.

`SHA256SUMS` is what `sha256sum` writes and `sha256sum --check` reads. A line `# restore: COMMAND` in it says how to get
the files back. Most folders have no such file, and are taken as they are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cms_ai_images.exceptions import ModelFilesDamaged, ModelFilesMissing

SUMS = "SHA256SUMS"
RESTORE = "# restore: "


def damaged_files(folder: Path) -> list[str]:
    """The files that are missing or differ from what the folder says of them; empty where it says nothing."""
    if not (folder / SUMS).is_file():
        return []
    digests = {name: digest for digest, _, name in map(_split, _lines(folder)) if name}
    return [name for name, digest in digests.items() if not _matches(folder / name, digest)]


def check_digests(model: str, folder: Path) -> None:
    """Raise `ModelFilesDamaged` with the first such file and the command that restores it."""
    try:
        damaged = damaged_files(folder)
    except OSError as error:
        raise ModelFilesMissing(model=model, detail=f"{SUMS}: {error}") from error
    if damaged:
        raise ModelFilesDamaged(model=model, file=damaged[0], restore=restore_command(folder))


def restore_command(folder: Path) -> str:
    """What the folder says; else what checks a copy of it."""
    lines = (line.removeprefix(RESTORE) for line in _lines(folder) if line.startswith(RESTORE))
    return next(lines, f"sha256sum --check {SUMS}")


def _lines(folder: Path) -> list[str]:
    return (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()


def _split(line: str) -> tuple[str, str, str]:
    """`DIGEST  NAME`, or `DIGEST *NAME`; anything else has no name."""
    digest, space, name = line.partition(" ")
    return (digest, space, name[1:]) if len(digest) == 64 else ("", "", "")


def _matches(file: Path, digest: str) -> bool:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == digest
    except FileNotFoundError:
        return False
