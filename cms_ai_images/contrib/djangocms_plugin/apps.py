"""Wiring only."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DjangoCMSPluginConfig(AppConfig):
    name = "cms_ai_images.contrib.djangocms_plugin"
    label = "cms_ai_images_djangocms_plugin"
    verbose_name = _("AI images in django CMS")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401
