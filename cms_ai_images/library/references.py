"""Pictures that requests start from: brought by their author, taken from the library, or generated before.

Wherever one comes from, it is cleaned and kept on the draft storage as a row of its author, so that a task finds it
again however much later it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from filer.settings import FILER_IMAGE_MODEL

from cms_ai_images import credits, limits
from cms_ai_images.exceptions import (
    DraftGone,
    InvalidRequest,
    ReferenceGone,
    ReferenceInUse,
    ReferenceNotFound,
    StorageFull,
)
from cms_ai_images.library import drafts, files
from cms_ai_images.models import GeneratedImage, ReferencePicture
from cms_ai_images.models.references import reference_key
from cms_ai_images.safety import remote, upload
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import Reference, ReferenceKind, Status


def gather(user: Any, references: Sequence[Reference]) -> list[ReferencePicture]:
    """The pictures that a request names, in order, each kept for this user. Fetches, cleans and stores what is new.

    Raises `ReferenceNotFound` for what is not there or not this user's to read, what `safety.upload` and
    `safety.remote` refuse, `StorageFull` or `StorageUnavailable`.
    """
    try:
        return [_TAKERS[ReferenceKind(reference.kind)](user, reference.value) for reference in references]
    except InvalidRequest as error:
        error.field = "references"
        raise


def keep(user: Any, data: bytes) -> ReferencePicture:
    """Clean a file and keep it; the same row when this user brings the same picture again.

    The bytes come before the row. Killed in between, they fall to `sweep`. Raises `StorageFull` where the author has
    no room for it.
    """
    picture = upload.clean(data)
    same = ReferencePicture.objects.filter(user=user, sha256=picture.sha256)
    if reference := _touched(same):
        drafts.write(str(reference.file.name), picture.data)  # changes nothing, unless the storage has lost it
        return reference
    reference = ReferencePicture(
        user=user, sha256=picture.sha256, width=picture.width, height=picture.height, byte_size=len(picture.data)
    )
    key = reference.file.name = reference_key(reference, "")
    drafts.write(key, picture.data)
    allowed = limits.of(user)
    try:
        with transaction.atomic():
            if allowed.storage_mib is not None:
                credits.lock(user)
                limits.check_storage(user, reference.byte_size, allowed)
            reference.save()
    except StorageFull:
        files.remove(draft_storage(), key)
        raise
    except IntegrityError:  # somebody brought it twice at the same moment
        files.remove(draft_storage(), key)
        return same.get()
    return reference


def read(reference: ReferencePicture) -> bytes:
    """The cleaned picture, a WebP. Raises `ReferenceGone`, or `StorageUnavailable`."""
    try:
        with files.failures_as_unavailable(), draft_storage().open(str(reference.file.name)) as file:
            return bytes(file.read())
    except FileNotFoundError as error:
        raise ReferenceGone from error


def forget(reference: ReferencePicture) -> None:
    """Delete it. A finished task that began with it cannot be repeated then; one that waits or runs prevents it.

    Raises `ReferenceInUse`.
    """
    with transaction.atomic():
        locked = _locked(pk=reference.pk)
        if any(row.tasks.filter(status__in=Status.active()).exists() for row in locked):
            raise ReferenceInUse
        _delete(locked)


def purge(before: datetime) -> int:
    """Delete what no task refers to and nobody has used since then. Returns how many there were."""
    unused = ReferencePicture.objects.filter(tasks=None, used_at__lt=before)
    purged = 0
    for pk in list(unused.values_list("pk", flat=True)):
        with transaction.atomic():
            purged += _delete(_locked(pk=pk, used_at__lt=before))
    return purged


def _locked(**which: Any) -> list[ReferencePicture]:
    return list(ReferencePicture.objects.select_for_update().filter(**which))


def _delete(rows: list[ReferencePicture]) -> int:
    """Delete locked rows, and their bytes after the commit."""
    for reference in rows:
        reference.delete()
        transaction.on_commit(partial(files.remove, draft_storage(), str(reference.file.name)), robust=True)
    return len(rows)


def _touched(references: QuerySet[ReferencePicture]) -> ReferencePicture | None:
    """The row, if there is one, which from now on counts as used: a purge at this moment leaves it."""
    return references.get() if references.update(used_at=timezone.now()) else None


def _uploaded(user: Any, value: str) -> ReferencePicture:
    reference = _touched(ReferencePicture.objects.filter(user=user, uuid=_uuid(value)))
    if reference is None:
        raise ReferenceNotFound
    return reference


def _generated(user: Any, value: str) -> ReferencePicture:
    image = GeneratedImage.objects.select_related("filer_image").filter(task__user=user, uuid=_uuid(value)).first()
    if image is None:
        raise ReferenceNotFound
    if image.filer_image is not None:
        return keep(user, _library_bytes(image.filer_image))
    try:
        return keep(user, drafts.read(image))
    except DraftGone as error:
        raise ReferenceNotFound from error


def _of_library(user: Any, value: str) -> ReferencePicture:
    """A file that this user may read, as django-filer decides."""
    model = apps.get_model(FILER_IMAGE_MODEL)
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 19 else -1
    file = model.objects.filter(pk=number).first()
    if file is None or not file.has_read_permission(SimpleNamespace(user=user)):
        raise ReferenceNotFound
    return keep(user, _library_bytes(file))


def _remote(user: Any, value: str) -> ReferencePicture:
    return keep(user, remote.fetch(value))


def _library_bytes(file: Any) -> bytes:
    try:
        with files.failures_as_unavailable():
            upload.check_size(file.size or 0)
            with file.file.open() as opened:
                return bytes(opened.read())
    except FileNotFoundError as error:
        raise ReferenceNotFound from error


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError as error:
        raise ReferenceNotFound from error


_TAKERS: dict[ReferenceKind, Callable[[Any, str], ReferencePicture]] = {
    ReferenceKind.UPLOAD: _uploaded,
    ReferenceKind.IMAGE: _generated,
    ReferenceKind.LIBRARY: _of_library,
    ReferenceKind.URL: _remote,
}
