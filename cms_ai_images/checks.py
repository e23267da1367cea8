"""System checks: numbered, each with a hint. `docs/settings.md` lists them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from . import conf
from .safety import addresses
from .types import Priority


@checks.register
def check_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """E001: unknown keys. E002: no draft storage. E003: lists of hosts. W001: no RQ queues. W002: filer's storage."""
    try:
        alias = conf.get("DRAFT_STORAGE")
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), hint="Compare it with docs/settings.md.", id="cms_ai_images.E001")]
    messages: list[checks.CheckMessage] = []
    if alias not in settings.STORAGES:
        messages.append(
            checks.Error(
                f"STORAGES has no alias {alias!r}.",
                hint="Add a private storage for drafts: a folder outside MEDIA_ROOT, or a bucket that is not public.",
                id="cms_ai_images.E002",
            )
        )
    for name in ("REMOTE_PICTURE_HOSTS", "WEBHOOK_ALLOWED_HOSTS"):
        if wrong := [entry for entry in conf.get(name) if not addresses.is_entry(entry)]:
            messages.append(
                checks.Error(
                    f"CMS_AI_IMAGES[{name!r}] holds what is no host: {', '.join(map(str, wrong))}.",
                    hint="Write example.org or example.org:8443, without a path, and every subdomain by itself.",
                    id="cms_ai_images.E003",
                )
            )
    missing = [f"images-{p.word}" for p in Priority if f"images-{p.word}" not in getattr(settings, "RQ_QUEUES", {})]
    if len(missing) == len(Priority):
        messages.append(
            checks.Warning(
                "RQ_QUEUES has no queue for the pool 'images'.",
                hint=f"Define {', '.join(missing)}, or give every generation model another pool that has its queues.",
                id="cms_ai_images.W001",
            )
        )
    filer = getattr(settings, "FILER_STORAGES", {}).get("public", {}).get("main", {})
    library: Any = settings.STORAGES.get("default", {})
    if library.get("OPTIONS") and not filer.get("ENGINE"):
        messages.append(
            checks.Warning(
                "django-filer takes the BACKEND of STORAGES['default'], but not its OPTIONS.",
                hint="Set FILER_STORAGES, or pictures go where the backend puts them by default (docs/deployment.md).",
                id="cms_ai_images.W002",
            )
        )
    return messages
