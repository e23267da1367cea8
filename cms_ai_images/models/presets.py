"""Style presets: what keeps every picture on brand."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from filer.fields.image import FilerImageField
from filer.settings import FILER_IMAGE_MODEL

from .generation_models import GenerationModel

PLACEHOLDER = "{prompt}"


class StylePreset(models.Model):
    """A named style that authors choose from. What it does is in its current version."""

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("slug"), unique=True)
    description = models.CharField(_("description"), max_length=255, blank=True)
    thumbnail = FilerImageField(
        verbose_name=_("thumbnail"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    groups = models.ManyToManyField(
        "auth.Group",
        verbose_name=_("groups"),
        blank=True,
        related_name="+",
        help_text=_("Who may use it; nobody chosen means everybody."),
    )
    published = models.BooleanField(_("published"), default=False)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    current_version = models.ForeignKey(
        "StylePresetVersion",
        verbose_name=_("current version"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        ordering = ["position", "name"]
        verbose_name = _("style preset")
        verbose_name_plural = _("style presets")
        permissions = [
            ("manage_presets", _("Can manage AI image styles")),
            ("approve", _("Can publish AI image styles")),
        ]

    def __str__(self) -> str:
        return self.name


class StylePresetVersion(models.Model):
    """One immutable state of a preset, so that an old picture's settings can always be shown."""

    preset = models.ForeignKey(StylePreset, verbose_name=_("preset"), on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(_("number"))
    prompt_template = models.TextField(
        _("prompt template"),
        blank=True,
        help_text=_("{prompt} stands for the author's words; without it they come first."),
    )
    negative_prompt = models.TextField(_("negative prompt"), blank=True)
    parameters = models.JSONField(_("parameters"), default=dict, blank=True, help_text=_('For example {"steps": 20}.'))
    locked = models.JSONField(
        _("locked parameters"), default=list, blank=True, help_text=_('Authors cannot change these: ["steps"].')
    )
    model = models.ForeignKey(
        GenerationModel, verbose_name=_("model"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    references = models.ManyToManyField(
        FILER_IMAGE_MODEL, verbose_name=_("reference pictures"), blank=True, related_name="+"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        ordering = ["preset", "-number"]
        constraints = [models.UniqueConstraint(fields=["preset", "number"], name="ai_images_preset_version_number")]
        verbose_name = _("style preset version")
        verbose_name_plural = _("style preset versions")

    def __str__(self) -> str:
        return f"{self.preset} v{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only: a version that pictures were made with never changes."""
        if not self._state.adding:
            raise ValidationError(_("A version of a style cannot be changed; add a new one."), code="version_immutable")
        super().save(*args, **kwargs)

    def apply(self, prompt: str) -> str:
        """The author's words inside the template. Other braces are left as they are."""
        template = self.prompt_template.strip()
        if not template:
            return prompt
        if PLACEHOLDER not in template:
            return f"{prompt}, {template}"
        return template.replace(PLACEHOLDER, prompt)
