"""Filters whose choices come from small tables, never from a search through all the tasks."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cms_ai_images import services
from cms_ai_images.models import GenerationModel, GenerationTask, StylePreset
from cms_ai_images.resolution import models_for, presets_for


class ModelFilter(admin.SimpleListFilter):
    """By model; authors are offered those that they may use."""

    title = _("model")
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """Slug and label of each."""
        everything = services.sees_all(request.user)
        models = GenerationModel.objects.all() if everything else models_for(request.user)
        return list(models.values_list("slug", "label"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[GenerationTask]) -> QuerySet[GenerationTask]:
        """The tasks of the chosen one."""
        return queryset.filter(model__slug=self.value()) if self.value() else queryset


class StyleFilter(admin.SimpleListFilter):
    """By style, in any of its versions; authors are offered those that they may use."""

    title = _("style")
    parameter_name = "style"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """Slug and name of each."""
        everything = services.sees_all(request.user)
        presets: Any = StylePreset.objects.all() if everything else presets_for(request.user)
        return list(presets.values_list("slug", "name"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[GenerationTask]) -> QuerySet[GenerationTask]:
        """The tasks of the chosen one."""
        return queryset.filter(preset_version__preset__slug=self.value()) if self.value() else queryset
