"""What an author chose last, and what they like."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .generation_models import fill_empty_json
from .presets import StylePreset


class UserPreference(models.Model):
    """The dialog's settings of one user. The prompt is never among them."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="+"
    )
    last = models.JSONField(_("last settings"), default=dict, blank=True)
    favourites = models.JSONField(
        _("favourites"), default=list, blank=True, help_text=_("Named sets of settings: id, name and settings of each.")
    )
    favourite_presets = models.ManyToManyField(
        StylePreset, verbose_name=_("favourite styles"), blank=True, related_name="+"
    )

    class Meta:
        verbose_name = _("user preference")
        verbose_name_plural = _("user preferences")

    def __str__(self) -> str:
        return str(self.user)

    def clean(self) -> None:
        """An emptied box of a form means: nothing kept."""
        fill_empty_json(self)
