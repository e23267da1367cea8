"""Writing style presets. Versions are never changed; a change is a new one."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from cms_ai_images.models import StylePreset, StylePresetVersion

VERSION_FIELDS = ("prompt_template", "negative_prompt", "parameters", "locked", "model")
"""What a version says."""


@transaction.atomic
def publish_version(preset: StylePreset, values: dict[str, Any], *, user: Any = None) -> StylePresetVersion:
    """Make these values the preset's current version; when nothing changed, the current one stays.

    `values` holds any of `VERSION_FIELDS`; what is left out keeps its default.
    """
    StylePreset.objects.select_for_update().get(pk=preset.pk)  # two designers saving at once get two numbers
    latest = preset.versions.first()
    fresh = StylePresetVersion(preset=preset, number=latest.number + 1 if latest else 1, created_by=user, **values)
    current = preset.current_version
    if current is not None and all(getattr(current, name) == getattr(fresh, name) for name in VERSION_FIELDS):
        return current
    fresh.save()
    preset.current_version = fresh
    preset.save(update_fields=["current_version", "updated_at"])
    return fresh
