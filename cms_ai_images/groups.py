"""Ready-made groups: who usually does what. `docs/permissions.md` lists them; a site changes them, or makes its own."""

from __future__ import annotations

import dataclasses

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import transaction

MEDIA_LIBRARY = [
    *(f"filer.{action}_{model}" for model in ("file", "folder", "image") for action in ("add", "change", "view")),
    "filer.can_use_directory_listing",
]
"""What django-filer asks of those who choose among the library's files."""
PEOPLE = [f"{get_user_model()._meta.app_label}.view_{get_user_model()._meta.model_name}", "auth.view_group"]
"""To choose whom an account, a limit or a style is for."""

GROUPS: dict[str, list[str]] = {
    "Editor": [
        "cms_ai_images.generate",
        *MEDIA_LIBRARY,
    ],
    "Designer": [
        "cms_ai_images.generate",
        "cms_ai_images.manage_presets",
        "cms_ai_images.approve",
        "cms_ai_images.view_generationmodel",
        *MEDIA_LIBRARY,
    ],
    "AI image manager": [
        "cms_ai_images.generate",
        "cms_ai_images.use_high_priority",
        "cms_ai_images.view_all_tasks",
        "cms_ai_images.change_generationtask",
        "cms_ai_images.view_generatedimage",
        "cms_ai_images.manage_presets",
        "cms_ai_images.approve",
        "cms_ai_images.manage_models",
        "cms_ai_images.manage_credits",
        "cms_ai_images.view_worker",
        "cms_ai_images.view_auditentry",
        *PEOPLE,
        *MEDIA_LIBRARY,
    ],
}
"""Permissions as `app_label.codename`, by the group's name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one group: whether it is new, and what it still lacks of the list above."""

    name: str
    created: bool
    added: list[str]
    missing: list[str]


@transaction.atomic
def ensure(*, update: bool = False) -> list[Outcome]:
    """Make the groups that are not there. One that is may be the site's own: only `update` adds what it lacks.

    Nothing is ever taken away. Raises `Permission.DoesNotExist` before the migrations have run.
    """
    outcomes = []
    for name, names in GROUPS.items():
        wanted = {permission: find(permission) for permission in names}
        group, created = Group.objects.get_or_create(name=name)
        lacking = set(wanted.values()) - set(group.permissions.all())
        if created or update:
            group.permissions.add(*lacking)
        lacked = [permission for permission, row in wanted.items() if row in lacking]
        is_given = created or update
        outcomes.append(
            Outcome(name=name, created=created, added=lacked if is_given else [], missing=[] if is_given else lacked)
        )
    return outcomes


def find(name: str) -> Permission:
    """The permission called `app_label.codename`."""
    app_label, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app_label, codename=codename)
