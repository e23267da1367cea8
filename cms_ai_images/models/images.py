"""Generated pictures: private drafts until their author accepts them."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from filer.settings import FILER_IMAGE_MODEL

from cms_ai_images.storage import draft_storage
from cms_ai_images.types import MAX_SEED, OutputFormat, ReviewState

from .tasks import GenerationTask


def draft_key(image: GeneratedImage, filename: str) -> str:
    """Task, index and content make the key, so that storing the same picture twice is harmless."""
    return f"{image.task.uuid}/{image.index}-{image.sha256[:16]}.{OutputFormat(image.output_format).extension}"


class GeneratedImage(models.Model):
    """One picture of a task. Its bytes are in `file` while it is a draft, then in the media library."""

    uuid = models.UUIDField(_("id"), default=uuid.uuid4, unique=True, editable=False)
    task = models.ForeignKey(GenerationTask, verbose_name=_("task"), on_delete=models.CASCADE, related_name="images")
    index = models.PositiveSmallIntegerField(_("index"))
    file = models.FileField(_("draft"), storage=draft_storage, upload_to=draft_key, max_length=255, blank=True)
    # Never one-to-one: the same library file may be reached from several pictures.
    filer_image = models.ForeignKey(
        FILER_IMAGE_MODEL,
        verbose_name=_("library file"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="ai_images",
    )
    seed = models.BigIntegerField(_("seed"))
    width = models.PositiveIntegerField(_("width"))
    height = models.PositiveIntegerField(_("height"))
    byte_size = models.PositiveBigIntegerField(_("size in bytes"))
    output_format = models.CharField(_("format"), max_length=10, choices=OutputFormat)
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    review_state = models.CharField(_("review"), max_length=10, choices=ReviewState, default=ReviewState.DRAFT)
    safety_verdict = models.JSONField(_("safety verdict"), default=dict, blank=True)
    parent = models.ForeignKey(
        "self", verbose_name=_("made from"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    reviewed_at = models.DateTimeField(_("reviewed"), null=True, blank=True)

    class Meta:
        ordering = ["task", "index"]
        verbose_name = _("generated image")
        verbose_name_plural = _("generated images")
        indexes = [
            models.Index(fields=["created_at"], condition=Q(review_state="draft"), name="ai_images_image_drafts")
        ]
        constraints = [
            models.UniqueConstraint(fields=["task", "index"], name="ai_images_image_index"),
            models.CheckConstraint(condition=Q(seed__gte=0, seed__lte=MAX_SEED), name="ai_images_image_seed"),
            models.CheckConstraint(
                condition=Q(review_state__in=ReviewState.values), name="ai_images_image_review_state"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task.prompt[:60]} ({self.index + 1})"
