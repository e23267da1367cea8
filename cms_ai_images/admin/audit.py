"""The audit trail: to be read, searched and taken along, by those who may."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import NoReverseMatch, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from cms_ai_images import csv_stream
from cms_ai_images.admin.readonly import USERNAME, ReadOnlyAdmin
from cms_ai_images.models import AuditEntry

CHUNK = 1_000
"""Entries that are read at a time for a download."""
BY_UUID = {"generationtask", "generatedimage"}
"""Tables whose entries name the public id; the admin finds it by a search."""


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    change_list_template = "admin/cms_ai_images/auditentry/change_list.html"
    list_display = ["created_at", "who", "action", "what", "reason"]
    list_filter = ["action", "created_at"]
    date_hierarchy = "created_at"
    search_fields = ["object_id__exact", f"actor__{USERNAME}__istartswith", "object_label", "reason"]
    search_help_text = _("A user name, the id of an object, or words of its name or of a reason.")
    fieldsets = [
        (None, {"fields": ["created_at", "who", "action", "what", "reason"]}),
        (_("Details"), {"fields": ["object_type", "object_id", "readable_details"]}),
    ]
    readonly_fields = ["who", "what", "readable_details"]

    def get_urls(self) -> list[Any]:
        """With the download."""
        download = path("export/", self.admin_site.admin_view(self.export), name="cms_ai_images_auditentry_export")
        return [download, *super().get_urls()]

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """The entries that the list's filters and search leave, as CSV, the newest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            entries = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return redirect("admin:cms_ai_images_auditentry_changelist")
        header = ["when", "who", "action", "object type", "object id", "object", "reason", "details"]
        return csv_stream.response(request, "ai-images-audit.csv", header, _chunks(entries))

    @admin.display(description=_("who"), ordering="actor_label")
    def who(self, entry: AuditEntry) -> str:
        """As they were called then."""
        return entry.actor_name

    @admin.display(description=_("what"))
    def what(self, entry: AuditEntry) -> str:
        """A link to it, where the admin has a page of it."""
        label = entry.object_label or entry.object_id
        table = f"admin:cms_ai_images_{entry.object_type}"
        try:
            if entry.object_type in BY_UUID:
                url = f"{reverse(f'{table}_changelist')}?q={entry.object_id}"
            else:
                url = reverse(f"{table}_change", args=[entry.object_id])
        except NoReverseMatch:
            return label
        return format_html('<a href="{}">{}</a>', url, label)

    @admin.display(description=_("details"))
    def readable_details(self, entry: AuditEntry) -> str:
        """JSON, a value a line."""
        return format_html("<pre>{}</pre>", json.dumps(entry.details, indent=2, ensure_ascii=False))


def _chunks(entries: QuerySet[AuditEntry]) -> Iterator[list[csv_stream.Row]]:
    """Page by page along the key: the last page costs what the first one does."""
    entries, last = entries.order_by("-pk"), None
    while page := list((entries if last is None else entries.filter(pk__lt=last))[:CHUNK]):
        yield [_row(entry) for entry in page]
        last = page[-1].pk


def _row(entry: AuditEntry) -> csv_stream.Row:
    return [
        entry.created_at.isoformat(),
        entry.actor_name,
        entry.action,
        entry.object_type,
        entry.object_id,
        entry.object_label,
        entry.reason,
        json.dumps(entry.details, ensure_ascii=False),
    ]
