"""Workers, as the database sees them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cms_ai_images.admin.readonly import USERNAME, ReadOnlyAdmin
from cms_ai_images.admin.robust import RobustAdmin
from cms_ai_images.models import UserPreference, Worker


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ["name", "lives", "pool", "device", "loaded_models", "started_at", "heartbeat_at"]
    list_filter = ["pool"]
    search_fields = ["name", "host"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Dead ones only: a living one looks for its row."""
        allowed = admin.ModelAdmin.has_delete_permission(self, request, obj)
        return allowed and not (isinstance(obj, Worker) and obj.is_alive)

    @admin.display(boolean=True, description=_("lives"))
    def lives(self, worker: Worker) -> bool:
        """Whether it has said so recently."""
        return worker.is_alive


@admin.register(UserPreference)
class UserPreferenceAdmin(RobustAdmin):
    list_display = ["user"]
    list_select_related = ["user"]
    raw_id_fields = ["user"]
    search_fields = [f"^user__{USERNAME}"]
