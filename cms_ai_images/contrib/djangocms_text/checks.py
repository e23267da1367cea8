"""A check that the inserted pictures can be resolved."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core import checks

RESOLVER = "djangocms_text.contrib.filer_image"


@checks.register
def check_resolver(**kwargs: Any) -> list[checks.CheckMessage]:
    """W101: texts refer to pictures that nothing resolves."""
    if apps.is_installed(RESOLVER):
        return []
    return [
        checks.Warning(
            f"cms_ai_images.contrib.djangocms_text is installed without {RESOLVER}.",
            hint=f"Add {RESOLVER!r} to INSTALLED_APPS: it finds a picture again after its file was moved or renamed.",
            id="cms_ai_images.W101",
        )
    ]
