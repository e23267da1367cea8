"""Pictures that authors bring, for requests to start from."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cms_ai_images.storage import draft_storage

REFERENCES = "references"
"""Their folder on the draft storage."""


def reference_key(reference: ReferencePicture, filename: str) -> str:
    """A key of its own for each row: what one author deletes, no other author's row needs."""
    return f"{REFERENCES}/{reference.uuid}-{reference.sha256[:16]}.webp"


class ReferencePicture(models.Model):
    """A cleaned picture (`safety.upload`) on the draft storage. Only its owner sees it and can refer to it."""

    uuid = models.UUIDField(_("id"), default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("author"), on_delete=models.CASCADE, related_name="+"
    )
    file = models.FileField(_("file"), storage=draft_storage, upload_to=reference_key, max_length=255)
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    width = models.PositiveIntegerField(_("width"))
    height = models.PositiveIntegerField(_("height"))
    byte_size = models.PositiveBigIntegerField(_("size in bytes"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    used_at = models.DateTimeField(_("last used"), default=timezone.now)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("reference picture")
        verbose_name_plural = _("reference pictures")
        indexes = [models.Index(fields=["used_at"], name="ai_images_reference_used")]
        constraints = [models.UniqueConstraint(fields=["user", "sha256"], name="ai_images_reference_once")]

    def __str__(self) -> str:
        return f"{self.width} × {self.height}, {self.sha256[:8]}"
