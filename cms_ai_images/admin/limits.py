"""What the members of a group may ask for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from cms_ai_images import conf
from cms_ai_images.admin.credits import MANAGE
from cms_ai_images.admin.managing import ManagedAdmin
from cms_ai_images.models import AuditEntry, GroupLimits
from cms_ai_images.types import Operation


@admin.register(GroupLimits)
class GroupLimitsAdmin(ManagedAdmin):
    """One page for each group that differs. Points are only spoken of where they are counted."""

    manage_permission = MANAGE
    audit_action = AuditEntry.Action.LIMITS_CHANGED
    list_display = ["group", "requests_per_minute", "active_tasks", "images_per_request", "task_seconds", "storage_mib"]
    list_select_related = ["group"]
    search_fields = ["^group__name"]
    explanation = _("An empty field leaves things as they are elsewhere; 0 means: no limit.")
    fieldsets = [
        (None, {"fields": ["group"], "description": explanation}),
        (_("How much at a time"), {"fields": ["requests_per_minute", "active_tasks", "queue_length", "storage_mib"]}),
        (
            _("How much in one request"),
            {"fields": ["operations", "images_per_request", "pixels", "steps", "prompt_length", "task_seconds"]},
        ),
        (_("Budget"), {"fields": ["monthly_points"]}),
    ]

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Operations are ticked, not written."""
        if db_field.name != "operations":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        return forms.MultipleChoiceField(
            label=capfirst(db_field.verbose_name),
            help_text=_("What members may ask for. None ticked: as elsewhere."),
            choices=Operation.choices,
            widget=forms.CheckboxSelectMultiple,
            required=False,
        )

    def get_fieldsets(self, request: HttpRequest, obj: GroupLimits | None = None) -> Any:
        """Without the budget while points are not counted."""
        sets = super().get_fieldsets(request, obj)
        return sets if conf.get("CREDITS") else [each for each in sets if "monthly_points" not in each[1]["fields"]]
