"""The library folder that accepted pictures go to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from filer.models import Folder

from cms_ai_images import conf
from cms_ai_images.exceptions import FolderNotFound


def folder_for(folder_id: int | None, user: Any) -> Folder:
    """The folder with this key, or the one that the setting `LIBRARY_FOLDER` names.

    Raises `FolderNotFound` for one that does not exist, or that django-filer lets this user add nothing to.
    """
    if folder_id is None:
        return default_folder()
    folder = Folder.objects.filter(pk=folder_id).first()
    # django-filer asks a request, but only for its user.
    if folder is None or user is None or not folder.has_generic_permission(SimpleNamespace(user=user), "add_children"):
        raise FolderNotFound
    return folder


def default_folder() -> Folder:
    """The root folder of that name, made at first use; of several the oldest."""
    name = conf.get("LIBRARY_FOLDER")
    roots = Folder.objects.filter(parent=None, name=name).order_by("pk")
    if folder := roots.first():
        return folder
    with transaction.atomic():
        # django-filer does not make root folder names unique, so whoever makes one locks a row that always exists.
        ContentType.objects.select_for_update().get(pk=ContentType.objects.get_for_model(Folder).pk)
        return roots.first() or Folder.objects.create(name=name)
