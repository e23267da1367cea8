"""Credit accounts and the ledger. While points are not counted nothing of them is seen."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cms_ai_images import conf, credits
from cms_ai_images.admin.managing import ManagedAdmin
from cms_ai_images.admin.readonly import USERNAME, ReadOnlyAdmin
from cms_ai_images.models import AuditEntry, CreditAccount, CreditEntry

MANAGE = "cms_ai_images.manage_credits"


@admin.register(CreditAccount)
class CreditAccountAdmin(ManagedAdmin):
    """Whose it is stays as it is, and its balance is moved by entries alone."""

    manage_permission = MANAGE
    audit_action = AuditEntry.Action.LIMITS_CHANGED
    list_display = ["__str__", "balance", "allowance"]
    list_select_related = ["user", "group"]
    search_fields = [f"^user__{USERNAME}", "^group__name", "^label"]
    raw_id_fields = ["user", "group"]

    def get_readonly_fields(self, request: HttpRequest, obj: CreditAccount | None = None) -> Any:
        """Points never change hands by editing an account."""
        return ["label", "balance", "filled_for", *(["user", "group"] if obj else [])]

    def get_fieldsets(self, request: HttpRequest, obj: CreditAccount | None = None) -> Any:
        """Whose it is: the user, the group, or, of an account that outlived both, the name."""
        if obj is None:
            own = ["user", "group", "allowance"]
        else:
            owner = "user" if obj.user_id else "group" if obj.group_id else "label"
            own = [owner, "allowance", "balance", "filled_for"]
        return [(None, {"fields": own}), *super().get_fieldsets(request, obj)[1:]]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Where points are counted."""
        return conf.get("CREDITS") and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Where points are counted."""
        return conf.get("CREDITS") and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Where points are counted."""
        return conf.get("CREDITS") and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not by hand: its entries would not add up, and a request may be waiting at it."""
        return False


class CreditEntryForm(forms.ModelForm):
    """A grant or a correction that the account can take, and the reason for it."""

    class Meta:
        model = CreditEntry
        fields = ["account", "kind", "amount", "note"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind = self.fields.get("kind")
        if isinstance(kind, forms.ChoiceField):  # reservations and refunds belong to tasks
            kind.choices = [(word.value, word.label) for word in (CreditEntry.Kind.GRANT, CreditEntry.Kind.CORRECTION)]
        if "note" in self.fields:
            self.fields["note"].required = True

    def clean(self) -> dict[str, Any]:
        """The balance stays between zero and what the column holds. Its row is locked until the entry is stored."""
        data = super().clean() or self.cleaned_data
        account, kind, amount = (data.get(name) for name in ("account", "kind", "amount"))
        if account is None or kind is None or amount is None:
            return data
        balance = CreditAccount.objects.select_for_update().get(pk=account.pk).balance
        lowest = 1 if kind == CreditEntry.Kind.GRANT else -balance
        highest = models.BigIntegerField.MAX_BIGINT - balance
        if not lowest <= amount <= highest or amount == 0:
            self.add_error(
                "amount",
                forms.ValidationError(
                    _("The balance is %(balance)d. Enter a number from %(lowest)d to %(highest)d, not zero."),
                    code="amount_out_of_range",
                    params={"balance": balance, "lowest": lowest, "highest": highest},
                ),
            )
        return data


@admin.register(CreditEntry)
class CreditEntryAdmin(ReadOnlyAdmin):
    """The ledger. What can be added by hand is a grant or a correction, and it moves the balance."""

    list_display = ["created_at", "account", "kind", "amount", "model_label", "operation", "note", "created_by"]
    list_filter = ["kind"]
    list_select_related = ["account__user", "account__group", "created_by"]
    autocomplete_fields = ["account"]
    search_fields = ["=task_uuid", f"^account__user__{USERNAME}", "^account__label"]
    form = CreditEntryForm
    fieldsets = [
        (None, {"fields": ["account", "kind", "amount", "note"]}),
        (_("What it was for"), {"fields": ["task_uuid", "charge_round", "model_label", "operation", "month"]}),
        (_("Who and when"), {"fields": ["created_by", "created_at"]}),
    ]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Where points are counted."""
        return conf.get("CREDITS") and (request.user.has_perm(MANAGE) or super().has_view_permission(request, obj))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """As the permissions say, where points are counted."""
        may = request.user.has_perm(MANAGE) or admin.ModelAdmin.has_add_permission(self, request)
        return conf.get("CREDITS") and may

    def get_fieldsets(self, request: HttpRequest, obj: CreditEntry | None = None) -> Any:
        """What tasks write is not asked for."""
        return super().get_fieldsets(request, obj)[: None if obj else 1]

    def save_model(self, request: HttpRequest, obj: CreditEntry, form: Any, change: bool) -> None:
        """The entry and the balance together."""
        credits.grant(obj, by=request.user)
