"""Files that no row names: what a killed upload, a killed acceptance or a late worker left behind.

Nothing is taken that somebody may still come back to: young files, drafts of tasks that are not final, and public
copies of pictures that can still be accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.core.files.storage import Storage
from django.db import transaction
from filer.models import File

from cms_ai_images.library import drafts, files, intake
from cms_ai_images.models import GeneratedImage, GenerationTask, ReferencePicture
from cms_ai_images.models.references import REFERENCES
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import ReviewState

COPY = re.compile(r"-(?P<task>[0-9a-f]{12})-(?P<number>\d+)-[0-9a-f]{8}(_\w+)?\.\w+$")
"""What `naming.file_name` ends with. A storage that finds the name taken inserts some characters."""


def sweep(before: datetime) -> int:
    """Delete the orphans that were last written before this moment; returns how many. Safe beside workers."""
    return _sweep_drafts(before) + _sweep_references(before) + _sweep_copies(before)


def _sweep_drafts(before: datetime) -> int:
    storage = draft_storage()
    swept = 0
    for folder in _listdir(storage, "")[0]:
        task = _uuid(folder)
        if task is None:
            continue  # not ours
        old = [key for key in _files(storage, folder) if _is_old(storage, key, before)]
        if not old:
            continue
        with transaction.atomic():
            # Locked, so that no retry begins to rely on a file in the moment in which it goes.
            row = GenerationTask.objects.select_for_update().filter(uuid=task).first()
            if row is not None and not row.is_final:
                continue
            kept = set(GeneratedImage.objects.filter(task__uuid=task).exclude(file="").values_list("file", flat=True))
            for key in set(old) - kept - {drafts.preview_key(name) for name in kept}:
                files.remove(storage, key)
                swept += 1
    return swept


def _sweep_references(before: datetime) -> int:
    """A killed upload leaves bytes without a row, as does a user who is deleted with all rows."""
    storage = draft_storage()
    swept = 0
    for name in _files(storage, REFERENCES):
        if _is_old(storage, name, before) and not ReferencePicture.objects.filter(file=name).exists():
            files.remove(storage, name)
            swept += 1
    return swept


def _sweep_copies(before: datetime) -> int:
    storage = intake.public_storage()
    swept = 0
    for year in _listdir(storage, intake.FOLDER)[0]:
        for month in _listdir(storage, f"{intake.FOLDER}/{year}")[0]:
            folder = f"{intake.FOLDER}/{year}/{month}"
            names = list(_files(storage, folder))
            kept = set(File.objects.filter(file__startswith=f"{folder}/").values_list("file", flat=True))
            for name in names:
                if name not in kept and _is_old(storage, name, before) and _is_done_with(name):
                    files.remove(storage, name)
                    swept += 1
    return swept


def _is_done_with(name: str) -> bool:
    """Whether this is a copy of ours, of a picture that nobody can accept any more."""
    match = COPY.search(name)
    if match is None:
        return False
    first, last = (UUID(match["task"].ljust(32, digit)) for digit in "0f")
    return not GeneratedImage.objects.filter(
        task__uuid__range=(first, last), index=int(match["number"]) - 1, review_state=ReviewState.DRAFT
    ).exists()


def _files(storage: Storage, folder: str) -> Iterator[str]:
    return (f"{folder}/{name}" for name in _listdir(storage, folder)[1])


def _listdir(storage: Storage, folder: str) -> tuple[list[str], list[str]]:
    """Folders and files. A folder that was never made is empty.

    The Azure backend of django-storages knows no folders and gives every file below by its whole name.
    """
    try:
        folders, names = storage.listdir(folder)
    except FileNotFoundError:
        return [], []
    if any("/" in name for name in names):
        below = [name.removeprefix(f"{folder}/") for name in names]
        folders = sorted({name.split("/")[0] for name in below if "/" in name})
        names = [name for name in below if "/" not in name]
    return folders, names


def _is_old(storage: Storage, name: str, before: datetime) -> bool:
    try:
        return storage.get_modified_time(name) < before
    except FileNotFoundError:
        return False  # gone meanwhile


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
