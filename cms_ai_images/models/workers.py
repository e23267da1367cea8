"""Workers, as the database sees them: whether one lives is asked here, not in Redis."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cms_ai_images import conf


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self) -> WorkerQuerySet:
        """Those that said so within `WORKER_TIMEOUT_SECONDS`."""
        return self.filter(heartbeat_at__gt=Worker.alive_since(), stopped_at=None)


class Worker(models.Model):
    """One worker process. A restarted worker is a new row."""

    name = models.CharField(_("name"), max_length=150, unique=True)
    host = models.CharField(_("host"), max_length=255)
    pid = models.PositiveIntegerField(_("process"), default=0)
    pool = models.SlugField(_("pool"))
    device = models.CharField(_("device"), max_length=100, blank=True)
    loaded_models = models.JSONField(_("loaded models"), default=list, blank=True)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    heartbeat_at = models.DateTimeField(_("last sign of life"), default=timezone.now, db_index=True)
    stopped_at = models.DateTimeField(_("stopped"), null=True, blank=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ["-heartbeat_at"]
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def alive_since() -> datetime:
        """Whoever has given no sign of life after this moment is taken for dead."""
        return timezone.now() - timedelta(seconds=conf.get("WORKER_TIMEOUT_SECONDS"))

    @property
    def is_alive(self) -> bool:
        """Whether it has said so recently."""
        age = timezone.now() - self.heartbeat_at
        return self.stopped_at is None and age.total_seconds() < conf.get("WORKER_TIMEOUT_SECONDS")
