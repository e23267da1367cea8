"""The OpenAPI 3.1 schema of this API, and two pages for people."""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import condition

import cms_ai_images
from cms_ai_images import exceptions
from cms_ai_images.api.problems import FRAMEWORK_CODES, for_everybody, problem_response

FILE = Path(__file__).with_name("openapi.json")
"""Made beforehand by `make schema`: drf-spectacular makes it with settings that are one for the whole process, which a
site may use for an API of its own. Only what differs from site to site is filled in here."""
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
SIDECAR = "drf_spectacular_sidecar"
"""The package that carries Swagger UI, so that nothing is fetched from elsewhere."""


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """The schema as plain values."""
    made: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    made["info"]["version"] = cms_ai_images.__version__
    made["servers"] = [{"url": reverse("cms_ai_images:task-list").removesuffix("/tasks/")}]
    return made


@lru_cache(maxsize=1)
def _rendered() -> tuple[bytes, str]:
    data = json.dumps(schema(), indent=1, ensure_ascii=False).encode()
    return data, f'"{hashlib.sha256(data).hexdigest()[:32]}"'


@for_everybody  # which requests are possible is nobody's secret
@condition(etag_func=lambda request: _rendered()[1])
def schema_view(request: HttpRequest) -> HttpResponse:
    """The schema as JSON."""
    return HttpResponse(_rendered()[0], content_type="application/json", headers={"Cache-Control": "no-cache"})


@for_everybody
def docs(request: HttpRequest) -> HttpResponse:
    """The schema to read and to try out, in Swagger UI, under a strict policy for scripts."""
    context = {"is_installed": apps.is_installed(SIDECAR), "csrf_cookie": settings.CSRF_COOKIE_NAME}
    return render(request, "cms_ai_images/api/docs.html", context)


@for_everybody
def problems(request: HttpRequest) -> HttpResponse:
    """What each code means: where the `type` of a problem object leads to."""
    own: list[dict[str, Any]] = [
        {"code": error.code, "status": error.status, "retryable": error.retryable, "meaning": _plain(error)}
        for error in exceptions.known()
    ]
    framework: list[dict[str, Any]] = [
        {"code": code, "status": number, "retryable": False, "meaning": meaning}
        for code, (number, meaning) in FRAMEWORK_CODES.items()
    ]
    entries = sorted([*own, *framework], key=lambda entry: (entry["status"], entry["code"]))
    return render(request, "cms_ai_images/api/problems.html", {"entries": entries})


@login_not_required
@csrf_exempt
def nowhere(request: HttpRequest) -> HttpResponse:
    """An address that leads nowhere, in the shape of every error."""
    return problem_response(exceptions.NotFound())


def _plain(error: type[exceptions.AIImagesError]) -> str:
    """The sentence as authors read it, with dots for what is filled in."""
    return PLACEHOLDER.sub("…", str(error.author_message or error.message))
