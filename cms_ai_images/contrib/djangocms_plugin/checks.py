"""A check that the plugin's form finds its button."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core import checks

BUTTON = "cms_ai_images.contrib.filer_field"


@checks.register
def check_button(**kwargs: Any) -> list[checks.CheckMessage]:
    """E111: without this app the form has neither template nor script for its button."""
    if apps.is_installed(BUTTON):
        return []
    return [
        checks.Error(
            f"cms_ai_images.contrib.djangocms_plugin is installed without {BUTTON}.",
            hint=f"Add {BUTTON!r} to INSTALLED_APPS: the plugin's form uses its button.",
            id="cms_ai_images.E111",
        )
    ]
