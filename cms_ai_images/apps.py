"""Wiring only."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CMSAIImagesConfig(AppConfig):
    name = "cms_ai_images"
    verbose_name = _("AI images")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, erasure  # noqa: F401

        erasure.connect()
