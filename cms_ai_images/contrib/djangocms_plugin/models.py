"""What the plugin keeps: a reference to a library file, and how it is shown here."""

from __future__ import annotations

from cms.models.pluginmodel import CMSPlugin
from django.db import models
from django.utils.translation import gettext_lazy as _
from filer.fields.image import FilerImageField

from .renditions import Shape
from .validators import validate_link


class AIImage(CMSPlugin):
    """One picture. Empty texts mean those of the library file, so that a correction there reaches every page.

    django CMS copies plugins when a page is published or a version made; the reference is copied with the row.
    """

    picture = FilerImageField(
        verbose_name=_("picture"), null=True, blank=False, on_delete=models.SET_NULL, related_name="+"
    )
    alt_text = models.CharField(
        _("alternative text"),
        max_length=255,
        blank=True,
        help_text=_("What the picture says to those who do not see it. Empty: that of the media library."),
    )
    decorative = models.BooleanField(
        _("decorative"), default=False, help_text=_("It adds nothing to the text; screen readers skip it.")
    )
    caption = models.CharField(
        _("caption"), max_length=255, blank=True, help_text=_("Empty: that of the media library.")
    )
    link = models.CharField(
        _("link"),
        max_length=2000,
        blank=True,
        validators=[validate_link],
        help_text=_("A web address, or a path of this site that begins with a slash."),
    )
    shape = models.CharField(
        _("shape"),
        max_length=10,
        blank=True,
        choices=Shape,
        default="",
        help_text=_("Crops around the focal point. Empty: as it is."),
    )

    class Meta:
        verbose_name = _("AI image")
        verbose_name_plural = _("AI images")

    def __str__(self) -> str:
        return str(self.picture.label) if self.picture else str(_("no picture"))

    @property
    def alt(self) -> str:
        """The value of the `alt` attribute. With a link it must not be empty: a link needs a name."""
        if self.decorative and not self.link:
            return ""
        return str(self.alt_text or (self.picture and self.picture.default_alt_text) or "")

    @property
    def caption_text(self) -> str:
        """What stands below the picture."""
        return str(self.caption or (self.picture and self.picture.default_caption) or "")
