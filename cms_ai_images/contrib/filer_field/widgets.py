"""filer's image widget with a button under it."""

from __future__ import annotations

import json
from typing import Any

from django.forms import Script
from django.template.loader import render_to_string
from filer.fields.image import AdminImageWidget

from cms_ai_images import conf


class AIImageWidget(AdminImageWidget):
    """The button is found by the script through its markup, so that rows added to a formset work without set-up."""

    class Media:
        css = {"all": ["cms_ai_images/badge.css", "cms_ai_images/contrib/filer_field.css"]}
        js = [Script("cms_ai_images/contrib/filer_field.js", type="module")]

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> str:
        """filer's markup, wrapped together with the button."""
        widget = super().render(name, value, attrs, renderer)
        context = {"widget": widget, "article_fields": json.dumps(conf.get("ARTICLE_FIELDS"))}
        return render_to_string("cms_ai_images/contrib/filer_field.html", context)
