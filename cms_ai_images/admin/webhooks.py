"""Webhooks: receivers, whose secret is shown once, and the log of what they were told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers
from django.utils.encoding import iri_to_uri
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from cms_ai_images import audit, conf
from cms_ai_images.admin.managing import ManagedAdmin, ReasonForm
from cms_ai_images.admin.readonly import USERNAME, ReadOnlyAdmin
from cms_ai_images.exceptions import AddressRefused
from cms_ai_images.models import AuditEntry, WebhookDelivery, WebhookEndpoint
from cms_ai_images.models.webhooks import Event, default_events, new_secret
from cms_ai_images.safety import addresses
from cms_ai_images.webhooks import outbox

MANAGE = "cms_ai_images.manage_webhooks"


class WebhookEndpointForm(ReasonForm):
    """A receiver; its secret is made, not typed."""

    events = forms.MultipleChoiceField(
        label=_("What it is told"),
        choices=Event.choices,
        initial=default_events,
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = WebhookEndpoint
        fields = ["name", "url", "events", "user", "enabled"]
        widgets = {"url": forms.URLInput(attrs={"class": "vURLField"})}

    def clean_url(self) -> str:
        """One whose host may be called. The name may still lead elsewhere later, so that is looked at again."""
        url = iri_to_uri(self.cleaned_data["url"])
        try:
            addresses.check_listed(url, conf.get("WEBHOOK_ALLOWED_HOSTS"))
        except AddressRefused as error:
            raise forms.ValidationError(str(error), code=error.code) from error
        return url


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ManagedAdmin):
    form = WebhookEndpointForm
    manage_permission = MANAGE
    audit_action = AuditEntry.Action.WEBHOOK_CHANGED
    list_display = ["name", "url", "user", "enabled", "created_at"]
    list_filter = ["enabled"]
    list_select_related = ["user"]
    search_fields = ["name", "url"]
    raw_id_fields = ["user"]
    actions = ["replace_secret"]
    fieldsets = [(None, {"fields": ["name", "url", "events", "user", "enabled"]})]

    def response_add(
        self, request: HttpRequest, obj: WebhookEndpoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The secret, in this answer only."""
        return self._secret_page(request, obj)

    @admin.action(description=_("Replace the secret"), permissions=["change"])
    def replace_secret(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> HttpResponse | None:
        """A new one, with which everything is signed from now on."""
        endpoint = queryset.first()
        if endpoint is None or queryset.count() != 1:
            messages.error(request, _("Choose one webhook."))
            return None
        with transaction.atomic():
            endpoint.secret = new_secret()
            endpoint.save(update_fields=["secret"])
            audit.record(self.audit_action, endpoint, by=request.user, event="secret replaced")
        return self._secret_page(request, endpoint)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """With how much of the log goes, too, and not all its rows: there may be many."""
        endpoints: Sequence[WebhookEndpoint] = list(objs)
        counts = {
            str(WebhookEndpoint._meta.verbose_name_plural): len(endpoints),
            str(WebhookDelivery._meta.verbose_name_plural): WebhookDelivery.objects.filter(
                endpoint__in=[endpoint.pk for endpoint in endpoints]
            ).count(),
        }
        return [str(endpoint) for endpoint in endpoints], counts, set(), []

    def _secret_page(self, request: HttpRequest, endpoint: WebhookEndpoint) -> HttpResponse:
        """Not a message, which would be stored in a session or a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Copy the secret now"),
            "endpoint": endpoint,
        }
        response = TemplateResponse(request, "admin/cms_ai_images/webhookendpoint/secret.html", context)
        add_never_cache_headers(response)
        return response


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """Whoever manages webhooks reads their log, and has something sent again."""

    list_display = ["created_at", "status", "event", "endpoint", "answer", "attempts", "next_attempt", "task_uuid"]
    list_filter = ["status", "event", "endpoint"]
    list_select_related = ["endpoint"]
    search_fields = ["=uuid", "=task_uuid", f"^endpoint__user__{USERNAME}"]
    search_help_text = _("The id of a task or of a delivery, or the user name of a webhook's owner.")
    actions = ["send_again"]
    fieldsets = [
        (None, {"fields": ["message_id", "event", "endpoint", "task_uuid", "payload"]}),
        (_("Delivery"), {"fields": ["status", "attempts", "response_status", "error"]}),
        (_("Dates"), {"fields": ["created_at", "last_attempt_at", "next_attempt"]}),
    ]
    readonly_fields = ["message_id", "next_attempt"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """With either permission."""
        return request.user.has_perm(MANAGE) or super().has_view_permission(request, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whoever may look."""
        return self.has_view_permission(request)

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Whoever may change receivers."""
        may = request.user.has_perm
        return may(MANAGE) or may("cms_ai_images.change_webhookendpoint")

    @admin.display(description=_("last answer"), ordering="response_status")
    def answer(self, delivery: WebhookDelivery) -> str:
        """Its status, or why there was none."""
        return str(delivery.response_status or delivery.error or "–")

    @admin.display(description=_("next attempt"))
    def next_attempt(self, delivery: WebhookDelivery) -> Any:
        """When there is one."""
        return delivery.next_attempt_at if delivery.status == WebhookDelivery.Status.WAITING else None

    @admin.action(description=_("Send the selected deliveries again"), permissions=["manage"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        """From the first attempt on."""
        count = outbox.send_again(queryset)
        text = ngettext("%(count)d delivery is sent again.", "%(count)d deliveries are sent again.", count)
        messages.info(request, text % {"count": count})
