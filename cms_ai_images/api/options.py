"""What can be chosen, and whether it would work now."""

from __future__ import annotations

import dataclasses
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from cms_ai_images import conf, health
from cms_ai_images.api.base import AIImagesView
from cms_ai_images.api.serializers import library_json
from cms_ai_images.exceptions import NoModelConfigured
from cms_ai_images.models import GenerationModel, StylePreset
from cms_ai_images.resolution import (
    FALLBACK_LIMITS,
    FALLBACK_PARAMETERS,
    default_model,
    max_images,
    models_for,
    presets_for,
)


class PresetListView(AIImagesView):
    def get(self, request: Request) -> Response:
        """The styles that the caller may use."""
        return Response({"results": [preset_json(preset) for preset in presets_for(request.user)]})


class ModelListView(AIImagesView):
    def get(self, request: Request) -> Response:
        """The models that the caller may use, with their limits; the default one first."""
        models = list(models_for(request.user))
        pools = health.living_pools()
        default = default_model(request.user) if models else None
        return Response({"results": [model_json(model, pools, default) for model in models]})


class HealthView(AIImagesView):
    def get(self, request: Request) -> Response:
        """Whether a picture asked for now would be drawn: by `?model=slug`, else by the default model."""
        chosen = models_for(request.user).filter(slug=request.query_params.get("model", "")).first()
        try:
            pool = (chosen or default_model(request.user)).pool
        except NoModelConfigured as error:
            return Response({"status": error.code, "detail": str(error), "workers": 0, "queued": 0, **_limits()})
        return Response({**dataclasses.asdict(health.check(pool)), **_limits()})


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


def model_json(model: GenerationModel, living_pools: set[str], default: GenerationModel | None) -> dict[str, Any]:
    """A model as authors see it; where its files are is the administrators' business."""
    return {
        "slug": model.slug,
        "label": model.label,
        "description": model.description,
        "operations": model.operations,
        "sizes": model.sizes,
        "default_parameters": {**FALLBACK_PARAMETERS, **model.default_parameters},
        "parameter_limits": {**FALLBACK_LIMITS, **model.parameter_limits},
        "max_images": max_images(model),
        "available": model.pool in living_pools,
        "is_default": model == default,
    }


def _limits() -> dict[str, int]:
    return {"max_prompt_length": conf.get("PROMPT_MAX_LENGTH")}
