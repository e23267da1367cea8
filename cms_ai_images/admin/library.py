"""From a file of the media library back to the task that drew it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from filer.admin.imageadmin import ImageAdmin


@admin.display(description=_("AI image task"))
def ai_image_task(model_admin: ImageAdmin, filer_image: Any) -> str:
    """A link to the task, or a dash for a picture that came from elsewhere."""
    image = filer_image.ai_images.select_related("task").first() if filer_image.pk else None
    if image is None:
        return "–"
    url = reverse("admin:cms_ai_images_generationtask_change", args=[image.task_id])
    return format_html('<a href="{}">{}</a>', url, image.task)


# django-filer offers no hook for further fields, so its admin class is extended in place; an admin class of
# the site's own inherits this.
ImageAdmin.ai_image_task = ai_image_task
ImageAdmin.readonly_fields = (*ImageAdmin.readonly_fields, "ai_image_task")
ImageAdmin.fieldsets = (*ImageAdmin.fieldsets, (_("AI image"), {"fields": ("ai_image_task",)}))
