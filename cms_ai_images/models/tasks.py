"""Generation tasks: the durable record of what was asked for and what became of it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from cms_ai_images import conf
from cms_ai_images.types import Fence, GenerationParameters, Operation, Priority, Status

from .generation_models import GenerationModel
from .presets import StylePresetVersion
from .references import ReferencePicture
from .workers import Worker


def site_time_limit() -> float:
    """What holds for a task for which nobody says anything else."""
    return float(conf.get("LIMITS")["task_seconds"])


class GenerationTask(models.Model):
    """One request for pictures. `lifecycle` is the only code that changes its status."""

    uuid = models.UUIDField(_("id"), default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("author"), null=True, on_delete=models.SET_NULL, related_name="+"
    )
    model = models.ForeignKey(
        GenerationModel, verbose_name=_("model"), null=True, on_delete=models.SET_NULL, related_name="+"
    )
    model_label = models.CharField(_("model (as it was)"), max_length=100)
    model_revision = models.CharField(_("model revision"), max_length=100, blank=True)
    preset_version = models.ForeignKey(
        StylePresetVersion,
        verbose_name=_("style version"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    preset_label = models.CharField(_("style (as it was)"), max_length=120, blank=True)

    operation = models.CharField(_("operation"), max_length=20, choices=Operation, default=Operation.TEXT_TO_IMAGE)
    request = models.JSONField(_("request"), help_text=_("What the author asked for."))
    parameters = models.JSONField(_("parameters"), help_text=_("What the backend is told, every value resolved."))
    time_limit = models.FloatField(
        _("time limit in seconds"),
        default=site_time_limit,
        help_text=_("For drawing, as it was when asked for."),
    )
    fingerprint = models.CharField(
        _("fingerprint"), max_length=64, help_text=_("SHA-256 of everything that decides the pixels.")
    )
    references = models.ManyToManyField(
        ReferencePicture, verbose_name=_("reference pictures"), blank=True, related_name="tasks"
    )
    auto_accept = models.BooleanField(_("accept at once"), default=False)
    parent = models.ForeignKey(
        "self",
        verbose_name=pgettext_lazy("task", "parent"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    pool = models.SlugField(_("pool"))
    priority = models.PositiveSmallIntegerField(_("priority"), choices=Priority, default=Priority.NORMAL)
    available_at = models.DateTimeField(_("not before"), default=timezone.now)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.QUEUED)
    worker = models.ForeignKey(
        Worker, verbose_name=_("worker"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    attempt = models.PositiveIntegerField(
        _("attempt"), default=0, help_text=_("Grows with every claim, never shrinks: the fence.")
    )
    failures = models.PositiveIntegerField(
        _("failures"), default=0, help_text=_("Failed attempts since the request or the last retry.")
    )
    device_losses = models.PositiveSmallIntegerField(
        _("device losses"),
        default=0,
        help_text=_("Attempts that ended with their GPU since then; seldom the task's fault, and counted apart."),
    )
    lease_expires_at = models.DateTimeField(_("lease ends"), null=True, blank=True)
    deadline_at = models.DateTimeField(_("deadline"), null=True, blank=True)
    cancel_requested_at = models.DateTimeField(_("cancel requested"), null=True, blank=True)
    backend_state = models.JSONField(
        _("backend state"), default=dict, blank=True, help_text=_("For example a remote job's id.")
    )
    error_code = models.CharField(_("error code"), max_length=50, blank=True)
    error_message = models.TextField(_("error message"), blank=True)
    error_params = models.JSONField(
        _("error details"), default=dict, blank=True, help_text=_("What the message is filled with, in any language.")
    )

    cost = models.PositiveIntegerField(_("cost in points"), default=0)
    charge_round = models.PositiveSmallIntegerField(
        _("charge round"), default=1, help_text=_("A retry is charged anew.")
    )

    origin_type = models.ForeignKey(
        ContentType,
        verbose_name=_("made for (type)"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    origin_id = models.CharField(_("made for (key)"), max_length=255, blank=True)
    origin_field = models.CharField(_("made for (field)"), max_length=100, blank=True)

    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("generation task")
        verbose_name_plural = _("generation tasks")
        permissions = [
            ("generate", _("Can generate AI images")),
            ("use_high_priority", _("Can generate with high priority")),
            ("view_all_tasks", _("Can see everybody's AI image tasks")),
        ]
        indexes = [
            # A user's history, newest first.
            models.Index(fields=["user", "-id"], name="ai_images_task_user"),
            # Everybody's history: what went wrong, and what was asked for in some weeks.
            models.Index(
                fields=["-id"], condition=Q(status__in=["failed", "cancelled"]), name="ai_images_task_unsuccessful"
            ),
            models.Index(fields=["created_at"], name="ai_images_task_created"),
            # What one person has waiting or being drawn. (SQLite does not see that a list of states is the index's.)
            models.Index(fields=["user"], condition=Q(finished_at=None), name="ai_images_task_active"),
            # The same request again.
            models.Index(fields=["user", "fingerprint"], name="ai_images_task_fingerprint"),
            # What can be claimed, in claiming order; finished rows are not in it, so it stays small.
            models.Index(
                fields=["pool", "-priority", "available_at", "id"],
                condition=Q(status="queued"),
                name="ai_images_task_queued",
            ),
            # Leases that may have ended.
            models.Index(fields=["lease_expires_at"], condition=Q(status="running"), name="ai_images_task_running"),
            # What was made for one article.
            models.Index(fields=["origin_type", "origin_id", "-id"], name="ai_images_task_origin"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=Status.values), name="ai_images_task_status"),
            # Only a held task has a lease: a claim sets it, every other move clears it.
            models.CheckConstraint(
                condition=Q(status="running", lease_expires_at__isnull=False)
                | (~Q(status="running") & Q(lease_expires_at__isnull=True)),
                name="ai_images_task_lease",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_operation_display()}: {self.prompt[:60]}"

    @property
    def prompt(self) -> str:
        """The author's own words, without the style's."""
        return str(self.request.get("prompt", ""))

    @property
    def is_final(self) -> bool:
        """Whether no worker will change it any more."""
        return self.status in Status.final()

    @property
    def generation_parameters(self) -> GenerationParameters:
        """What the backend is told, as a frozen value."""
        return GenerationParameters(**self.parameters)

    @property
    def fence(self) -> Fence:
        """The current claim. Only meaningful while the task is running."""
        return Fence(task_id=self.pk, worker_id=self.worker_id or 0, attempt=self.attempt)
