"""What can be chosen, and whether it would work now."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import pgettext_lazy
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cms_ai_images import conf, credits, health, limits, preferences, services
from cms_ai_images.api.base import AIImagesView
from cms_ai_images.api.documentation import documented
from cms_ai_images.api.queries import asked
from cms_ai_images.api.serializers import library_json
from cms_ai_images.api.shapes import (
    CreditsSerializer,
    FolderListSerializer,
    HealthSerializer,
    ModelListSerializer,
    PresetListSerializer,
)
from cms_ai_images.backends import get_backend_class
from cms_ai_images.exceptions import NoModelConfigured, UnknownBackend
from cms_ai_images.library import folders
from cms_ai_images.models import GenerationModel, StylePreset
from cms_ai_images.models.generation_models import FALLBACK_LIMITS
from cms_ai_images.offers import Offer
from cms_ai_images.resolution import FALLBACK_PARAMETERS, default_model, models_for, presets_for
from cms_ai_images.types import STANDARD, OutputFormat

QUALITIES = {
    STANDARD: pgettext_lazy("quality", "Standard"),
    "high": pgettext_lazy("quality", "High"),
    "draft": pgettext_lazy("quality", "Draft"),
}
"""Those that have a translation; others are called as in the model's row."""


class PresetListView(AIImagesView):
    @documented({200: PresetListSerializer})
    def get(self, request: Request) -> Response:
        """The styles that the caller may use."""
        liked = set(preferences.favourite_presets(request.user))
        styles = [{**preset_json(preset), "favourite": preset.slug in liked} for preset in presets_for(request.user)]
        return Response({"results": styles})


class ModelListView(AIImagesView):
    @documented({200: ModelListSerializer})
    def get(self, request: Request) -> Response:
        """The models that the caller may use, within the caller's own limits; the default one first."""
        models = list(models_for(request.user))
        pools = health.living_pools()
        default = default_model(request.user) if models else None
        allowed = limits.of(request.user)
        offers = [Offer(model=model, limits=allowed) for model in models]
        return Response({"results": [model_json(offer, pools, default) for offer in offers if offer.is_possible]})


class HealthQuerySerializer(serializers.Serializer):
    """The query string of the health."""

    model = serializers.CharField(default="", help_text="Its slug; the default model's health where it is gone.")


class HealthView(AIImagesView):
    @documented({200: HealthSerializer}, problems=[400], parameters=[HealthQuerySerializer])
    def get(self, request: Request) -> Response:
        """Whether a picture asked for now would be drawn: by `?model=slug`, else by the default model."""
        wanted = asked(request, HealthQuerySerializer)
        chosen = models_for(request.user).filter(slug=wanted["model"]).first()
        try:
            pool = (chosen or default_model(request.user)).pool
        except NoModelConfigured as error:
            state = {"status": error.code, "detail": str(error), "workers": 0, "queued": 0}
            return Response({**state, **_limits(request.user)})
        return Response({**dataclasses.asdict(health.check(pool)), **_limits(request.user)})


class CreditsView(AIImagesView):
    @documented({200: CreditsSerializer})
    def get(self, request: Request) -> Response:
        """Whether pictures cost points, and how many the caller has: own ones, and those shared with a group."""
        return Response(credits.summary(request.user))


class FolderListView(AIImagesView):
    @documented({200: FolderListSerializer})
    def get(self, request: Request) -> Response:
        """The library folders that the caller may put pictures into, and the one that is meant unless they say."""
        key, path = folders.default_choice()
        listed = [{"id": pk, "path": name} for pk, name in folders.open_to(request.user)]
        return Response({"results": listed, "default": {"id": key, "path": path}})


def preset_json(preset: StylePreset) -> dict[str, Any]:
    """A style as authors see it; its template is the designers' business."""
    version = preset.current_version
    assert version is not None  # noqa: S101 - presets_for() leaves out those without
    return {
        "slug": preset.slug,
        "name": preset.name,
        "description": preset.description,
        "thumbnail_url": library_json(preset.thumbnail)["thumbnail_url"] if preset.thumbnail else None,
        "model": version.model.slug if version.model else None,
        "parameters": version.parameters,
        "locked": version.locked,
    }


def model_json(offer: Offer, living_pools: set[str], default: GenerationModel | None) -> dict[str, Any]:
    """A model as authors see it; where its files are is the administrators' business."""
    model = offer.model
    return {
        "slug": model.slug,
        "label": model.label,
        "description": model.description,
        "operations": offer.operations,
        "sizes": offer.sizes,
        "default_parameters": {
            **FALLBACK_PARAMETERS,
            "output_format": conf.get("OUTPUT_FORMAT"),
            **model.default_parameters,
            "steps": offer.default("steps"),
        },
        "parameter_limits": {**FALLBACK_LIMITS, **model.parameter_limits, "steps": offer.bounds("steps")},
        "max_images": offer.max_images,
        "output_formats": OutputFormat.values,
        "prices": _prices(model),
        "qualities": [_quality_json(dataclasses.replace(offer, quality=name)) for name in offer.qualities],
        "provider": _provider(model.backend),
        "available": model.pool in living_pools,
        "is_default": model == default,
    }


def _quality_json(offer: Offer) -> dict[str, Any]:
    """A quality, what it sets where the author sets nothing else, within which limits, and what a picture costs."""
    return {
        "name": offer.quality,
        "label": str(QUALITIES.get(offer.quality) or offer.quality.replace("-", " ").replace("_", " ").capitalize()),
        "parameters": offer.sets,
        "parameter_limits": {name: offer.bounds(name) for name in FALLBACK_PARAMETERS},
        "prices": _prices(offer.model, offer.quality),
    }


def _prices(model: GenerationModel, quality: str = STANDARD) -> dict[str, int]:
    """Points for one picture by operation; nothing where pictures cost nothing."""
    return {operation: model.price(operation, quality) for operation in model.operations} if conf.get("CREDITS") else {}


def _provider(backend: str) -> str | None:
    """Who is sent the prompt, or `None` where it stays on this organisation's machines.

    Where the class cannot be asked its alias stands in: that nothing leaves must never be claimed unseen.
    """
    try:
        return get_backend_class(backend).provider
    except (UnknownBackend, ImproperlyConfigured):
        return backend


def _limits(user: Any) -> dict[str, Any]:
    return {
        "max_prompt_length": limits.of(user).prompt_length,
        "may": {
            "high_priority": user.has_perm("cms_ai_images.use_high_priority"),
            "see_all": services.sees_all(user),
        },
    }
