"""The library folder that accepted pictures go to."""

from __future__ import annotations

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from filer.models import Folder

from cms_ai_images import conf
from cms_ai_images.exceptions import InvalidRequest


class FolderNotFound(InvalidRequest):
    code = "folder_not_found"
    field = "folder"
    message = _("This folder no longer exists. Choose another one.")


def folder_for(folder_id: int | None) -> Folder:
    """The folder with this key, or the one that the setting `LIBRARY_FOLDER` names."""
    if folder_id is not None:
        try:
            return Folder.objects.get(pk=folder_id)
        except ObjectDoesNotExist as error:
            raise FolderNotFound from error
    return default_folder()


def default_folder() -> Folder:
    """The root folder of that name, made at first use.

    django-filer does not make root folder names unique. Of two made at the same moment the older wins from then on.
    """
    name = conf.get("LIBRARY_FOLDER")
    with transaction.atomic():
        existing = Folder.objects.select_for_update().filter(parent=None, name=name).order_by("pk").first()
        return existing or Folder.objects.create(name=name)
