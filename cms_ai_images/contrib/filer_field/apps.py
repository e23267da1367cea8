"""Wiring only."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FilerFieldConfig(AppConfig):
    name = "cms_ai_images.contrib.filer_field"
    label = "cms_ai_images_filer_field"
    verbose_name = _("AI images in filer image fields")
