"""For tables that people look after: one permission opens their pages, and every change is told in the audit trail."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cms_ai_images import audit
from cms_ai_images.admin.robust import RobustAdmin
from cms_ai_images.models import AuditEntry


class ReasonForm(forms.ModelForm):
    """Asks why beside what."""

    reason = forms.CharField(
        label=_("Reason for this change"),
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=_("Kept in the audit trail."),
    )


class ManagedAdmin(RobustAdmin):
    """Django's own permissions work as everywhere; `manage_permission` stands for all of them."""

    form = ReasonForm
    manage_permission: str
    audit_action: AuditEntry.Action
    audit_fields: dict[str, AuditEntry.Action] = {}
    """Fields whose changes are an event of their own."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """With either."""
        return self._manages(request) or super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """With either."""
        return self._manages(request) or super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """With either."""
        return self._manages(request) or super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """With either."""
        return self._manages(request) or super().has_delete_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """With the question why, for those who may change something."""
        may = self.has_add_permission(request) if obj is None else self.has_change_permission(request, obj)
        why = [(_("Why"), {"fields": ["reason"]})] if may else []
        return [*super().get_fieldsets(request, obj), *why]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The last step of a change, in its transaction: now it can be told."""
        super().save_related(request, form, formsets, change)
        pairs = {name: _values(form, name, change) for name in form.changed_data if name != "reason"}
        changes = {name: [old, new] for name, (old, new) in pairs.items() if old != new}  # else it was written anew
        for action in dict.fromkeys([self.audit_action, *self.audit_fields.values()]):
            told = {name: pair for name, pair in changes.items() if self._action_of(name) == action}
            if told:
                reason = form.cleaned_data.get("reason", "")
                event = "changed" if change else "added"
                audit.record(action, form.instance, by=request.user, reason=reason, event=event, changes=told)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Told before the row loses its key."""
        audit.record(self.audit_action, obj, by=request.user, event="deleted")
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """The same for those that were selected in the list."""
        for row in queryset:
            audit.record(self.audit_action, row, by=request.user, event="deleted")
        super().delete_queryset(request, queryset)

    def _manages(self, request: HttpRequest) -> bool:
        return request.user.has_perm(self.manage_permission)

    def _action_of(self, name: str) -> AuditEntry.Action:
        return self.audit_fields.get(name, self.audit_action)


def _values(form: Any, name: str, change: bool) -> list[Any]:
    """The old value of a field, if there was one, and the new one."""
    field = form.fields[name]
    old = form.get_initial_for_field(field, name) if change else None
    if isinstance(field, forms.ModelChoiceField) and field.queryset is not None and isinstance(old, int | str):
        old = field.queryset.model._base_manager.filter(pk=old).first()
    return audit.plain([old, form.cleaned_data.get(name)])
