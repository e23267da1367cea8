"""Accepting a picture: copy the bytes, commit the rows, delete the draft - in this order.

Killed between any two of these nothing is lost: the copy has a name made of task, index and content, so the next try
finds it, and the draft stays until the rows are committed. (A try under another name of the author's leaves the first
copy to `orphans`.)
"""

from __future__ import annotations

import hashlib
import posixpath
from functools import partial
from typing import Any

from django.apps import apps
from django.core.files.storage import Storage
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from filer.models import File, Folder
from filer.settings import FILER_IMAGE_MODEL

from cms_ai_images import audit
from cms_ai_images.exceptions import DraftGone
from cms_ai_images.library import describing, drafts, files, folders, naming
from cms_ai_images.models import GeneratedImage
from cms_ai_images.types import OutputFormat, PictureDetails, ReviewState

FOLDER = "ai_images"
"""Where the copies lie in the public storage, by year and month."""


def accept(image: GeneratedImage, details: PictureDetails) -> Any:
    """Put a draft into the media library and return its filer image.

    A second call returns the same one, with what `details` says anew (see `describing`).

    Raises `DraftGone` when the picture was discarded or purged, `StorageUnavailable` when a storage does not answer.
    """
    if image.filer_image is not None:
        return describing.revise(image, details)
    try:
        data = drafts.read(image)
    except DraftGone:
        found = GeneratedImage.objects.select_related("task", "filer_image").filter(pk=image.pk).first()
        if found is None or found.filer_image is None:
            raise
        return describing.revise(found, details)  # another click was faster
    folder = folders.folder_for(details.folder_id, image.task.user)  # a wrong one must not leave a public copy behind
    name = _copy(image, data, details.name or "")
    with transaction.atomic():
        locked = GeneratedImage.objects.select_for_update().filter(pk=image.pk).first()
        if locked is None:
            files.remove(public_storage(), name)  # the task was deleted meanwhile
            raise DraftGone
        if locked.filer_image is not None:
            if locked.filer_image.file.name != name:
                files.remove(public_storage(), name)
            return describing.revise(locked, details)
        if locked.review_state != ReviewState.DRAFT:
            files.remove(public_storage(), name)  # its author threw it away meanwhile: nobody shall find it
            raise DraftGone
        filer_image = _create(image, details, folder, name, data)
        key = str(locked.file.name)
        GeneratedImage.objects.filter(pk=image.pk).update(
            filer_image=filer_image, review_state=ReviewState.ACCEPTED, reviewed_at=timezone.now(), file=""
        )
        task = image.task
        accepted = {"task": task.uuid, "file": filer_image.pk, "at_once": task.auto_accept}
        audit.record(audit.Action.ACCEPTED, image, by=task.user, **accepted)
        transaction.on_commit(partial(drafts.delete, key), robust=True)
    image.refresh_from_db()
    return filer_image


def public_storage() -> Storage:
    """Where django-filer keeps public files."""
    return File._meta.get_field("file").storages["public"]


def _copy(image: GeneratedImage, data: bytes, title: str) -> str:
    """The bytes in the public storage, called as their author calls them. Returns the name they have there."""
    name = posixpath.join(FOLDER, f"{image.task.created_at:%Y/%m}", naming.file_name(image, title))
    with files.failures_as_unavailable():
        return files.put(public_storage(), name, data)


def _create(image: GeneratedImage, details: PictureDetails, folder: Folder, name: str, data: bytes) -> Any:
    """Two INSERTs and no read of the storage: everything that filer would look up in the file is given."""
    model = apps.get_model(FILER_IMAGE_MODEL)
    values: dict[str, Any] = {
        "name": naming.title(image.task),
        "default_alt_text": naming.alt_text(image.task),
        "folder": folder,
        **({"date_taken": timezone.now()} if describing.has_field(model, "date_taken") else {}),
        **describing.values(model, image, details),
    }
    filer_image = model(
        file=name,
        _file_size=len(data),
        sha1=hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        mime_type=OutputFormat(image.output_format).mime_type,
        _width=image.width,
        _height=image.height,
        is_public=True,
        original_filename=posixpath.basename(name),
        description=_("AI-generated picture. Task %(task)s, prompt: %(prompt)s")
        % {"task": image.task.uuid, "prompt": image.task.prompt},
        owner_id=image.task.user_id,
        **values,
    )
    filer_image.save()
    return filer_image
