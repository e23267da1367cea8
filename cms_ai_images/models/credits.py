"""Credit accounts and their append-only ledger."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class CreditAccount(models.Model):
    """The points of one user or of one group."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
    )
    group = models.OneToOneField(
        "auth.Group", verbose_name=_("group"), null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    balance = models.BigIntegerField(_("balance"), default=0)

    class Meta:
        verbose_name = _("credit account")
        verbose_name_plural = _("credit accounts")
        constraints = [
            models.CheckConstraint(condition=Q(balance__gte=0), name="ai_images_balance_not_negative"),
            models.CheckConstraint(
                condition=Q(user__isnull=False, group__isnull=True) | Q(user__isnull=True, group__isnull=False),
                name="ai_images_account_of_user_or_group",
            ),
        ]

    def __str__(self) -> str:
        return str(self.user or self.group)

    def clean(self) -> None:
        """Say at the fields what the constraint would only refuse."""
        if (self.user is None) == (self.group is None):
            message = _("Choose either a user or a group.")
            raise ValidationError({"user": message, "group": message})


class CreditEntry(models.Model):
    """One movement of points. It copies what it was for, so that it outlives the task."""

    class Kind(models.TextChoices):
        GRANT = "grant", _("Grant")
        CORRECTION = "correction", _("Correction")
        RESERVE = "reserve", _("Reserved")
        SETTLE = "settle", _("Settled")
        """What was reserved for pictures that were not delivered comes back; 0 when all were."""
        REFUND = "refund", _("Refunded")

    account = models.ForeignKey(
        CreditAccount, verbose_name=_("account"), on_delete=models.PROTECT, related_name="entries"
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    amount = models.BigIntegerField(_("amount"), help_text=_("Points; negative when they leave the account."))
    task_uuid = models.UUIDField(_("task"), null=True, blank=True)
    charge_round = models.PositiveSmallIntegerField(_("charge round"), default=0)
    model_label = models.CharField(_("model"), max_length=100, blank=True)
    operation = models.CharField(_("operation"), max_length=20, blank=True)
    note = models.CharField(_("reason"), max_length=255, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("credit entry")
        verbose_name_plural = _("credit entries")
        constraints = [
            # A repeated settlement or refund hits this instead of paying twice.
            models.UniqueConstraint(
                fields=["task_uuid", "charge_round", "kind"],
                condition=Q(task_uuid__isnull=False),
                name="ai_images_entry_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount:+d}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only: a mistake is mended by a correction, never by a change."""
        if not self._state.adding:
            raise ValidationError(_("A credit entry cannot be changed; add a correction."), code="entry_immutable")
        super().save(*args, **kwargs)
