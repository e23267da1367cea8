"""What is to be told: written with the change that it tells of, read by whoever sends it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from cms_ai_images import conf
from cms_ai_images.exceptions import AIImagesError
from cms_ai_images.models import GenerationTask, WebhookDelivery, WebhookEndpoint
from cms_ai_images.models.webhooks import Event
from cms_ai_images.types import Status

BATCH = 500
"""Rows that one statement deletes: others want to write meanwhile."""


def note(task: GenerationTask, status: Status, *, pictures: int = 0, error: AIImagesError | None = None) -> None:
    """Note for everybody who wants to know that the task has ended so. Call inside the transaction that ends it.

    Where no host may be called nobody is asked who wants to know; else that is one query, and one more to write.
    """
    if not conf.get("WEBHOOK_ALLOWED_HOSTS"):
        return
    event = Event.of(status)
    endpoints = WebhookEndpoint.objects.filter(Q(user=None) | Q(user=task.user_id), enabled=True)
    interested = [endpoint for endpoint in endpoints if event in endpoint.events]
    if not interested:
        return
    payload = _payload(task, event, status, pictures, error)
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(endpoint=endpoint, event=event, task_uuid=task.uuid, payload=payload) for endpoint in interested
    )


def send_again(deliveries: QuerySet[WebhookDelivery]) -> int:
    """Have them sent from the first attempt on, under the ids that they have; returns how many."""
    return deliveries.update(status=WebhookDelivery.Status.WAITING, attempts=0, next_attempt_at=timezone.now())


def purge(before: datetime) -> int:
    """Delete what was noted before this moment; returns how much. Safe to stop and to repeat."""
    purged = 0
    old = WebhookDelivery.objects.filter(created_at__lt=before).order_by("created_at").values_list("pk", flat=True)
    while keys := list(old[:BATCH]):
        purged += WebhookDelivery.objects.filter(pk__in=keys).delete()[0]
    return purged


def _payload(
    task: GenerationTask, event: Event, status: Status, pictures: int, error: AIImagesError | None
) -> dict[str, Any]:
    """Which task, and how it ended. What was asked for and the pictures are read through the API by those who may."""
    origin = task.origin_type
    return {
        "type": event.value,
        "timestamp": timezone.now().isoformat(),
        "data": {
            "id": str(task.uuid),
            "url": reverse("cms_ai_images:task-detail", args=[task.uuid]),
            "status": status.value,
            "operation": task.operation,
            "model": {"slug": task.model.slug if task.model else None, "label": task.model_label},
            "user": task.user_id,
            "num_images": pictures,
            "error": {"code": error.code, "retryable": error.retryable} if error else None,
            "origin": (
                {"label": f"{origin.app_label}.{origin.model}", "object_id": task.origin_id, "field": task.origin_field}
                if origin
                else None
            ),
            "created_at": task.created_at.isoformat(),
        },
    }
