"""The plugin that django CMS finds by this module's name."""

from __future__ import annotations

from typing import Any

from cms.plugin_base import CMSPluginBase
from cms.plugin_pool import plugin_pool
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cms_ai_images.contrib.filer_field.admin import AIImageFieldsMixin

from .forms import AIImageForm
from .models import AIImage
from .renditions import renditions


@plugin_pool.register_plugin
class AIImagePlugin(AIImageFieldsMixin, CMSPluginBase):
    """One picture with caption and link."""

    model = AIImage
    form = AIImageForm
    name = _("AI image")
    render_template = "cms_ai_images/contrib/djangocms_plugin/picture.html"
    text_enabled = False  # the editor's own button puts pictures into texts
    fieldsets = [
        (None, {"fields": ["picture", "alt_text", "decorative", "caption"]}),
        (_("More"), {"fields": ["link", "shape"], "classes": ["collapse"]}),
    ]

    def render(self, context: dict[str, Any], instance: AIImage, placeholder: Any) -> dict[str, Any]:
        """Add `renditions`, `None` without a picture."""
        context = super().render(context, instance, placeholder)
        context["renditions"] = renditions(instance.picture, instance.shape)
        return context

    def get_form(self, request: HttpRequest, obj: AIImage | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Say at the field which plugin it is, for the address of a plugin's form does not."""
        form = super().get_form(request, obj, change=change, **kwargs)
        key = obj.pk if obj else ""
        form.base_fields["picture"].widget.attrs["data-ai-images-origin"] = f"{AIImage._meta.label_lower}:{key}"
        return form
