"""Wiring only."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DjangoCMSTextConfig(AppConfig):
    name = "cms_ai_images.contrib.djangocms_text"
    label = "cms_ai_images_djangocms_text"
    verbose_name = _("AI images in djangocms-text")

    def ready(self) -> None:
        from . import checks, escaping, toolbar  # noqa: F401 (checks register themselves)

        toolbar.install()
        escaping.install()
