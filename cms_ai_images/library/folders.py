"""The library folder that accepted pictures go to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Q, QuerySet
from filer.models import Folder, FolderPermission

from cms_ai_images import conf
from cms_ai_images.exceptions import FolderNotFound

LISTED = 200
"""Most folders that are offered to choose from."""
SEPARATOR = " / "


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
    roots = _roots(name)
    if folder := roots.first():
        return folder
    with transaction.atomic():
        # django-filer does not make root folder names unique, so whoever makes one locks a row that always exists.
        ContentType.objects.select_for_update().get(pk=ContentType.objects.get_for_model(Folder).pk)
        return roots.first() or Folder.objects.create(name=name)


def open_to(user: Any) -> list[tuple[int, str]]:
    """(key, path) of the folders that django-filer lets this user add files to, by path; at most `LISTED`.

    Costs as many queries as the deepest of them has ancestors, however many there are.
    """
    folders = Folder.objects.order_by("name", "pk")
    allowed = FolderPermission.objects.get_add_children_id_list(user)
    if allowed != "All":
        folders = folders.filter(Q(pk__in=allowed) | Q(owner=user))
    listed = list(folders.values_list("pk", flat=True)[:LISTED])
    known: dict[int, tuple[str, int | None]] = {}
    wanted = set(listed)
    while wanted:
        found = Folder.objects.filter(pk__in=wanted).values_list("pk", "name", "parent_id")
        known.update({pk: (name, parent) for pk, name, parent in found})
        wanted = {parent for _name, parent in known.values() if parent is not None} - set(known)
    return sorted(((pk, _path(pk, known)) for pk in listed if pk in known), key=lambda folder: folder[1].casefold())


def default_choice() -> tuple[int | None, str]:
    """(key, path) of the folder that pictures go to unless somebody says otherwise; no key before its first use."""
    name = conf.get("LIBRARY_FOLDER")
    folder = _roots(name).first()
    return (folder.pk if folder else None), name


def _roots(name: str) -> QuerySet[Folder]:
    return Folder.objects.filter(parent=None, name=name).order_by("pk")


def _path(key: int, known: dict[int, tuple[str, int | None]]) -> str:
    """The names from the root on."""
    names: list[str] = []
    parent: int | None = key
    while parent is not None and parent in known:
        name, parent = known[parent]
        names.insert(0, name)
    return SEPARATOR.join(names)
