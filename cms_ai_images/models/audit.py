"""The audit trail: who did what, when and why. One row for each event, never changed afterwards."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

DELETED_USER = gettext_noop("deleted user")
"""Stands where somebody's name was; `DELETED_USER_PROMPTS` says when."""


class AuditEntry(models.Model):
    """An event of the domain, not a difference between two rows. It copies names, so that it outlives what it names.

    It holds no prompt: that is kept once, with the task that the entry names.
    """

    class Action(models.TextChoices):
        GENERATED = "generated", _("Asked for pictures")
        ACCEPTED = "accepted", _("Put into the library")
        DISCARDED = "discarded", _("Discarded a picture")
        CANCELLED = "cancelled", _("Cancelled a task")
        RETRIED = "retried", _("Tried a task again")
        DELETED = "deleted", _("Deleted a task")
        PRESET_CHANGED = "preset_changed", _("Changed a style")
        MODEL_CHANGED = "model_changed", _("Changed a model")
        PRICE_CHANGED = "price_changed", _("Changed a price")
        BALANCE_CHANGED = "balance_changed", _("Changed a balance")
        LIMITS_CHANGED = "limits_changed", _("Changed limits")
        TOKEN_CREATED = "token_created", _("Made an API token")
        TOKEN_REVOKED = "token_revoked", _("Revoked an API token")
        WEBHOOK_CHANGED = "webhook_changed", _("Changed a webhook")

    created_at = models.DateTimeField(_("when"), default=timezone.now, editable=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("who"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    actor_label = models.CharField(
        _("who (as it was)"), max_length=255, blank=True, help_text=_("Empty where no person was at work.")
    )
    action = models.CharField(_("action"), max_length=30, choices=Action)
    object_type = models.CharField(_("kind of object"), max_length=100, help_text=_("A table, such as stylepreset."))
    object_id = models.CharField(_("object"), max_length=64, help_text=_("Its key; the id of a task or a picture."))
    object_label = models.CharField(_("object (as it was)"), max_length=255, blank=True)
    details = models.JSONField(_("details"), default=dict, blank=True)
    reason = models.CharField(_("reason"), max_length=255, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        indexes = [
            # A span of time, and what retention ends.
            models.Index(fields=["created_at"], name="ai_images_audit_created"),
            # What one person did; the rare events among the many; the story of one object: each newest first.
            models.Index(fields=["actor", "-id"], name="ai_images_audit_actor"),
            models.Index(fields=["action", "-id"], name="ai_images_audit_action"),
            models.Index(fields=["object_type", "object_id", "-id"], name="ai_images_audit_object"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.get_action_display()}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only."""
        if not self._state.adding:
            raise ValidationError(_("An entry of the audit trail cannot be changed."), code="entry_immutable")
        super().save(*args, **kwargs)

    @property
    def actor_name(self) -> str:
        """Whom to name: the person as they were called then, or a word for nobody."""
        if self.actor_label == DELETED_USER:
            return gettext(DELETED_USER)
        return self.actor_label or gettext("the system")
