"""Credit accounts and their append-only ledger."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .limits import MAX_POINTS


class CreditAccount(models.Model):
    """The points of one user, or of one group, whose members share them.

    Its row is also what somebody's requests wait for each other at, so authors have one even where nothing costs
    points. It outlives who it belongs to, for the sake of its entries.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    group = models.OneToOneField(
        "auth.Group", verbose_name=_("group"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    label = models.CharField(
        _("belongs to (as it was)"),
        max_length=255,
        blank=True,
        editable=False,
        help_text=_("The name, when last saved."),
    )
    balance = models.BigIntegerField(_("balance"), default=0)
    allowance = models.PositiveIntegerField(
        _("points per month"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MAX_POINTS)],
        help_text=_(
            "Up to so many points the account is filled at its first use in a month. Empty: as the limits of the "
            "user's groups say; none for a group's account."
        ),
    )
    filled_for = models.DateField(
        _("filled for"), null=True, blank=True, editable=False, help_text=_("First day of the month.")
    )

    class Meta:
        verbose_name = _("credit account")
        verbose_name_plural = _("credit accounts")
        permissions = [("manage_credits", _("Can manage credits and limits"))]
        constraints = [
            models.CheckConstraint(condition=Q(balance__gte=0), name="ai_images_balance_not_negative"),
            models.CheckConstraint(
                condition=Q(user__isnull=True) | Q(group__isnull=True), name="ai_images_account_of_user_or_group"
            ),
        ]

    def __str__(self) -> str:
        return str(self.user or self.group or self.label or self.pk)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep the name beside the link, for when who it belongs to is gone."""
        if kwargs.get("update_fields") is None and (owner := self.user or self.group):
            self.label = str(owner)[:255]
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Say at the fields what the constraint would only refuse."""
        if self.pk is None and (self.user is None) == (self.group is None):
            message = _("Choose either a user or a group.")
            raise ValidationError({"user": message, "group": message})


class CreditEntry(models.Model):
    """One movement of points. It copies what it was for, so that it outlives the task."""

    class Kind(models.TextChoices):
        ALLOWANCE = "allowance", _("Allowance")
        """What was missing from the month's allowance at its first use."""
        GRANT = "grant", _("Grant")
        CORRECTION = "correction", _("Correction")
        RESERVE = "reserve", _("Reserved")
        SETTLE = "settle", _("Settled")
        """What was reserved for pictures that were not delivered comes back; 0, which closes the reservation, when all
        were."""
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
    month = models.DateField(_("month"), null=True, blank=True, help_text=_("Of an allowance: its first day."))
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
        indexes = [
            # What was spent in some months: `spending` begins at the reservations.
            models.Index(fields=["created_at"], condition=Q(kind="reserve"), name="ai_images_entry_spent"),
        ]
        constraints = [
            # A repeated settlement or refund hits this instead of paying twice.
            models.UniqueConstraint(
                fields=["task_uuid", "charge_round", "kind"],
                condition=Q(task_uuid__isnull=False),
                name="ai_images_entry_once",
            ),
            # What is settled is not refunded as well.
            models.UniqueConstraint(
                fields=["task_uuid", "charge_round"],
                condition=Q(task_uuid__isnull=False, kind__in=["settle", "refund"]),
                name="ai_images_entry_closed_once",
            ),
            models.UniqueConstraint(
                fields=["account", "month"], condition=Q(kind="allowance"), name="ai_images_entry_month"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount:+d}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only: a mistake is mended by a correction, never by a change."""
        if not self._state.adding:
            raise ValidationError(_("A credit entry cannot be changed; add a correction."), code="entry_immutable")
        super().save(*args, **kwargs)
