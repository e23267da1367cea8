"""Writes the audit trail: one INSERT for each event, in the transaction of what it tells of.

So the trail never tells of what did not happen, and nothing happens untold. How long entries are kept is the setting
`AUDIT_RETENTION_DAYS`.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model
from django.db.models.query import QuerySet

from cms_ai_images.models import AuditEntry, GeneratedImage, GenerationTask

Action = AuditEntry.Action

SECRET = re.compile(r"(^|_)(api_?key|token|secret|password|credentials?)$", re.IGNORECASE)
"""Names whose values are never written down."""
HIDDEN = "***"
BATCH = 500
"""Entries that one statement deletes: others want to write meanwhile."""


def record(action: AuditEntry.Action, subject: Model, *, by: Any, reason: str = "", **details: Any) -> AuditEntry:
    """Write that `by` (a user, or `None` for the system) did this to `subject`. Call inside its transaction.

    `details` is what else somebody will want to know, as plain values; for a change `changes={field: [old, new]}`.
    Values whose name looks like a secret's are left out. `subject` must still have its key.
    """
    return AuditEntry.objects.create(
        actor=by,
        actor_label=by.get_username()[:255] if by is not None else "",
        action=action,
        object_type=subject._meta.model_name or "",
        object_id=str(getattr(subject, "uuid", subject.pk)),
        object_label=_label(subject)[:255],
        details=plain(details),
        reason=reason[:255],
    )


def plain(value: Any) -> Any:
    """The value as JSON can hold it, without secrets: rows become their names, lists and objects stay such."""
    if isinstance(value, dict):
        return {str(key): HIDDEN if SECRET.search(str(key)) else plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | QuerySet):
        return [plain(inner) for inner in value]
    if isinstance(value, Model):
        return str(value)
    try:
        return json.loads(json.dumps(value, cls=DjangoJSONEncoder, allow_nan=False))
    except (TypeError, ValueError):
        return str(value)


def purge(before: datetime) -> int:
    """Delete the entries that are older than this moment; returns how many. Safe to stop and to repeat."""
    purged = 0
    old = AuditEntry.objects.filter(created_at__lt=before).order_by("created_at").values_list("pk", flat=True)
    while keys := list(old[:BATCH]):
        purged += AuditEntry.objects.filter(pk__in=keys).delete()[0]
    return purged


def _label(subject: Model) -> str:
    """What it is called. Of tasks and pictures the model is told: the prompt stays where it can be removed."""
    if isinstance(subject, GeneratedImage):
        return subject.task.model_label
    return subject.model_label if isinstance(subject, GenerationTask) else str(subject)
