"""Which request a client's `Idempotency-Key` stood for."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .tasks import GenerationTask


class IdempotencyKey(models.Model):
    """A key of one user's and the task that it led to. Written in the task's own transaction."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="+"
    )
    key = models.CharField(_("key"), max_length=255)
    request_hash = models.CharField(_("SHA-256 of the request"), max_length=64)
    task = models.ForeignKey(
        GenerationTask, verbose_name=_("task"), null=True, on_delete=models.CASCADE, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True)

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="ai_images_idempotency_key")]

    def __str__(self) -> str:
        return self.key
