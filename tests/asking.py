"""Asking for pictures as people do, through the one write path: what is queued, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from cms_ai_images import services
from cms_ai_images.exceptions import AIImagesError
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import GenerationRequest


def ask(user: User, prompt: str = "a red apple", **fields: Any) -> GenerationTask:
    """The task of a request in which `fields` say what is not as usual."""
    return services.request_generation(user, GenerationRequest(prompt=prompt, **fields))


def refused(user: User, **fields: Any) -> AIImagesError:
    """The refusal of a request, which leaves nothing behind."""
    before = GenerationTask.objects.count()
    with pytest.raises(AIImagesError) as caught, transaction.atomic():
        ask(user, **fields)
    assert GenerationTask.objects.count() == before
    return caught.value


def set_limits(settings: Any, **site: Any) -> None:
    """A site with these limits of its own, and as many requests a minute as anybody likes."""
    settings.CMS_AI_IMAGES = {"LIMITS": {"requests_per_minute": None, **site}}
