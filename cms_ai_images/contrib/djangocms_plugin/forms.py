"""The plugin's form."""

from __future__ import annotations

from typing import Any

from django.forms import ModelForm
from django.utils.translation import gettext_lazy as _

from .models import AIImage


class AIImageForm(ModelForm):
    """Asks for an alternative text only where neither the plugin nor the library has one."""

    class Meta:
        model = AIImage
        fields = ["picture", "alt_text", "decorative", "caption", "link", "shape"]

    def clean(self) -> dict[str, Any]:
        """Whoever does not see the picture must learn what it says, or where its link leads."""
        cleaned = super().clean() or {}
        picture = cleaned.get("picture")
        if picture is None or cleaned.get("alt_text") or picture.default_alt_text:
            return cleaned
        if cleaned.get("link"):
            self.add_error("alt_text", _("A picture with a link needs an alternative text: it names the link."))
        elif not cleaned.get("decorative"):
            self.add_error("alt_text", _("Say what the picture shows, or mark it as decorative."))
        return cleaned
