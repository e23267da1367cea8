"""The mixin for admins and inlines."""

from __future__ import annotations

from typing import Any

from django.db.models import ForeignKey
from django.http import HttpRequest
from filer.fields.image import AdminImageWidget, FilerImageField

from cms_ai_images.services import PERMISSION

from .widgets import AIImageWidget


class AIImageFieldsMixin:
    """Put it before `admin.ModelAdmin`, `admin.StackedInline` or `admin.TabularInline`."""

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        """filer's field with the button, unless the admin chose another widget or the user may not generate."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]
        if isinstance(db_field, FilerImageField) and request.user.has_perm(PERMISSION):
            widget = field.widget
            if type(widget) is AdminImageWidget:
                field.widget = AIImageWidget(widget.rel, widget.admin_site)
        return field
