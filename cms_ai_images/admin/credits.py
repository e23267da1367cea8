"""Credit accounts and the ledger."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from cms_ai_images import credits
from cms_ai_images.admin.readonly import ReadOnlyAdmin
from cms_ai_images.models import CreditAccount, CreditEntry


@admin.register(CreditAccount)
class CreditAccountAdmin(admin.ModelAdmin):
    list_display = ["__str__", "balance"]
    list_select_related = ["user", "group"]
    search_fields = ["^user__username", "^group__name"]
    raw_id_fields = ["user", "group"]
    readonly_fields = ["balance"]


@admin.register(CreditEntry)
class CreditEntryAdmin(ReadOnlyAdmin):
    """The ledger. What can be added by hand is a grant or a correction, and it moves the balance."""

    list_display = ["created_at", "account", "kind", "amount", "model_label", "operation", "note", "created_by"]
    list_filter = ["kind"]
    list_select_related = ["account__user", "account__group", "created_by"]
    search_fields = ["=task_uuid", "^account__user__username"]
    fields = ["account", "kind", "amount", "note"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """As the permission says."""
        return admin.ModelAdmin.has_add_permission(self, request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The ledger only grows."""
        return False

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Reservations and refunds belong to tasks."""
        kwargs["choices"] = [(kind.value, kind.label) for kind in (CreditEntry.Kind.GRANT, CreditEntry.Kind.CORRECTION)]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: CreditEntry, form: Any, change: bool) -> None:
        """The entry and the balance together."""
        credits.grant(obj, by=request.user)
