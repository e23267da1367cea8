"""Generation models."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cms_ai_images import conf
from cms_ai_images.admin.managing import ManagedAdmin
from cms_ai_images.models import AuditEntry, GenerationModel


@admin.register(GenerationModel)
class GenerationModelAdmin(ManagedAdmin):
    manage_permission = "cms_ai_images.manage_models"
    audit_action = AuditEntry.Action.MODEL_CHANGED
    audit_fields = {"prices": AuditEntry.Action.PRICE_CHANGED}
    list_display = ["label", "slug", "backend", "source", "pool", "position", "enabled"]
    list_filter = ["enabled", "backend", "pool"]
    list_editable = ["position", "enabled"]
    search_fields = ["label", "slug", "source"]
    prepopulated_fields = {"slug": ["label"]}
    filter_horizontal = ["groups"]
    readonly_fields = ["created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": ["label", "slug", "description", "enabled", "position", "groups", "pool"]}),
        (_("Where it is"), {"fields": ["backend", "source", "revision", "weights"]}),
        (_("How it is loaded"), {"fields": ["dtype", "cpu_offload", "vae_tiling", "vae_slicing", "options"]}),
        (
            _("What it may be asked for"),
            {"fields": ["operations", "sizes", "default_parameters", "parameter_limits", "qualities"]},
        ),
        (_("Points"), {"fields": ["prices"]}),
        (_("Dates"), {"fields": ["created_at", "updated_at"]}),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: GenerationModel | None = None) -> Any:
        """Without prices while points are not counted."""
        sets = super().get_fieldsets(request, obj)
        return sets if conf.get("CREDITS") else [each for each in sets if "prices" not in each[1]["fields"]]
