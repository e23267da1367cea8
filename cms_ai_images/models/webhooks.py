"""Webhooks: whom to tell that tasks have ended, and what was told them."""

from __future__ import annotations

import base64
import secrets
import uuid

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cms_ai_images.types import Status


class Event(models.TextChoices):
    """What a receiver can be told: `type` in the body."""

    TASK_SUCCEEDED = "task.succeeded", _("A task has succeeded")
    TASK_FAILED = "task.failed", _("A task has failed for good")
    TASK_CANCELLED = "task.cancelled", _("A task was cancelled")

    @classmethod
    def of(cls, status: Status) -> Event:
        """The event of a final state."""
        return cls(f"task.{status}")


def new_secret() -> str:
    """256 random bits as Standard Webhooks writes them."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def default_events() -> list[str]:
    """What the admin's form proposes."""
    return [Event.TASK_SUCCEEDED.value, Event.TASK_FAILED.value]


class WebhookEndpoint(models.Model):
    """A receiver. Its secret signs what it is sent, so it has to be kept as it is; nobody is shown it again."""

    name = models.CharField(_("name"), max_length=100)
    url = models.CharField(
        _("address"), max_length=500, help_text=_("Its host must be in the setting WEBHOOK_ALLOWED_HOSTS.")
    )
    secret = models.CharField(_("secret"), max_length=100, default=new_secret, editable=False)
    events = models.JSONField(_("events"), default=default_events)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("whose tasks"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text=_("Empty: everybody's."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        ordering = ["name", "id"]
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        permissions = [("manage_webhooks", _("Can manage webhooks"))]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse what would never be sent."""
        if not isinstance(self.events, list) or not self.events or not set(map(str, self.events)) <= set(Event.values):
            raise ValidationError({"events": _("Choose at least one event.")})


class WebhookDelivery(models.Model):
    """One event for one receiver. Written in the transaction of what it tells, so that it cannot get lost."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        """Is sent at `next_attempt_at`, for the first time or again."""
        DELIVERED = "delivered", _("Delivered")
        """The receiver has answered with a 2xx status."""
        FAILED = "failed", _("Given up")
        """It never has, and no attempt is left."""

    uuid = models.UUIDField(_("id"), default=uuid.uuid4, unique=True, editable=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint, verbose_name=_("webhook"), on_delete=models.CASCADE, related_name="deliveries"
    )
    event = models.CharField(_("event"), max_length=20, choices=Event)
    task_uuid = models.UUIDField(_("task"))
    payload = models.JSONField(_("what is told"))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now)
    response_status = models.PositiveSmallIntegerField(_("last answer"), null=True, blank=True)
    error = models.CharField(_("last error"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    last_attempt_at = models.DateTimeField(_("last attempt"), null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        indexes = [
            # What is due, the oldest first; what is done is not in it, so it stays small.
            models.Index(fields=["next_attempt_at"], condition=Q(status="waiting"), name="ai_images_delivery_waiting"),
            models.Index(fields=["created_at"], name="ai_images_delivery_created"),
            models.Index(fields=["task_uuid"], name="ai_images_delivery_task"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.task_uuid}"

    @property
    def message_id(self) -> str:
        """The same at each attempt, so that a receiver knows what it has had already."""
        return f"msg_{self.uuid.hex}"
