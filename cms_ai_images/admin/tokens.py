"""Personal API tokens: made for oneself, shown once, revoked, and never changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from cms_ai_images import tokens
from cms_ai_images.admin.readonly import USERNAME, ReadOnlyAdmin
from cms_ai_images.models import APIToken
from cms_ai_images.models.tokens import Scope

VALID_FOR = timedelta(days=365)
"""What the form proposes."""


class APITokenForm(forms.ModelForm):
    """A new token."""

    scopes = forms.MultipleChoiceField(
        label=_("What it may do"),
        choices=Scope.choices,
        initial=Scope.values,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Never more than its user may do."),
    )

    class Meta:
        model = APIToken
        fields = ["user", "name", "scopes", "expires_at"]

    def clean_expires_at(self) -> Any:
        """A token that has expired before it is made is a slip."""
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now():
            raise forms.ValidationError(_("Choose a time that is still to come."), code="expired")
        return expires_at


@admin.register(APIToken)
class APITokenAdmin(ReadOnlyAdmin):
    """Whoever may add tokens has their own here; who may change them (revoke) sees everybody's.

    A token acts in its user's name, so only superusers make one for somebody else.
    """

    form = APITokenForm
    list_display = ["name", "hint", "user", "created_at", "expires_at", "last_used_at", "works"]
    list_select_related = ["user"]
    search_fields = ["name", "=hint", f"^user__{USERNAME}"]
    raw_id_fields = ["user"]
    actions = ["revoke_tokens"]
    fieldsets = [(None, {"fields": ["user", "name", "scopes", "expires_at"]})]
    detail_fieldsets = [
        (None, {"fields": ["name", "hint", "user", "scopes"]}),
        (_("Dates"), {"fields": ["created_at", "expires_at", "last_used_at", "revoked_at"]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """As the permission says."""
        return admin.ModelAdmin.has_add_permission(self, request)

    def has_view_permission(self, request: HttpRequest, obj: APIToken | None = None) -> bool:
        """One's own, or everybody's."""
        if self._sees_all(request):
            return True
        return self.has_add_permission(request) and (obj is None or obj.user_id == request.user.pk)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whoever has something to see."""
        return self.has_view_permission(request)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """One's own, or everybody's for those who may change them; `get_queryset` decides which are offered."""
        return self.has_add_permission(request) or admin.ModelAdmin.has_change_permission(self, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[APIToken]:
        """Those that may be seen."""
        found = super().get_queryset(request)
        return found if self._sees_all(request) else found.filter(user=request.user.pk)

    def get_fieldsets(self, request: HttpRequest, obj: APIToken | None = None) -> Any:
        """A choice of users for superusers only."""
        if obj is not None:
            return self.detail_fieldsets
        if request.user.is_superuser:
            return self.fieldsets
        return [(None, {"fields": ["name", "scopes", "expires_at"]})]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A token of one's own, for a year."""
        return {"user": request.user.pk, "expires_at": timezone.now() + VALID_FOR}

    def save_model(self, request: HttpRequest, obj: APIToken, form: Any, change: bool) -> None:
        """The row through `tokens`, with its secret beside it until the answer is written."""
        owner = form.cleaned_data.get("user") or request.user
        token, secret = tokens.issue(owner, obj.name, scopes=obj.scopes, expires_at=obj.expires_at, by=request.user)
        obj.__dict__.update(token.__dict__)
        obj.secret = secret  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: APIToken, post_url_continue: str | None = None) -> HttpResponse:
        """The secret, in this answer only: not in a message, which would be stored in a session or a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Copy the token now"),
            "token": obj,
            "secret": obj.secret,  # type: ignore[attr-defined]
        }
        response = TemplateResponse(request, "admin/cms_ai_images/apitoken/secret.html", context)
        add_never_cache_headers(response)
        return response

    @admin.action(description=_("Revoke the selected tokens"), permissions=["revoke"])
    def revoke_tokens(self, request: HttpRequest, queryset: QuerySet[APIToken]) -> None:
        """At once and for good."""
        if not admin.ModelAdmin.has_change_permission(self, request):
            queryset = queryset.filter(user=request.user.pk)  # who may only look at everybody's
        revoked = sum(tokens.revoke(token, by=request.user) for token in queryset)
        text = ngettext("%(count)d token was revoked.", "%(count)d tokens were revoked.", revoked)
        messages.info(request, text % {"count": revoked})

    @admin.display(boolean=True, description=_("valid"))
    def works(self, token: APIToken) -> bool:
        """Neither revoked nor expired."""
        return token.is_valid

    def _sees_all(self, request: HttpRequest) -> bool:
        may = request.user.has_perm
        return may("cms_ai_images.view_apitoken") or may("cms_ai_images.change_apitoken")
