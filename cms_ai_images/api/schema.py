"""The OpenAPI 3.1 schema of this API, made once in a process, and two pages for people."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import override
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import condition, require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings

import cms_ai_images
from cms_ai_images import exceptions
from cms_ai_images.api.problems import CONTENT_TYPE, FRAMEWORK_CODES, problem_response
from cms_ai_images.types import Operation, OutputFormat, Priority, ReviewState, Status

URLCONF = "cms_ai_images.api.urls"
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
SIDECAR = "drf_spectacular_sidecar"
"""The package that carries Swagger UI, so that nothing is fetched from elsewhere."""

SETTINGS: dict[str, Any] = {
    "TITLE": "AI images",
    "DESCRIPTION": (
        "Ask for pictures, follow their making, and take them into the media library. Programs log in with "
        "`Authorization: Bearer aii_...`, browsers with their session and a CSRF token. Every error is a problem "
        "object (RFC 9457) with a stable `code`."
    ),
    "VERSION": cms_ai_images.__version__,
    "OAS_VERSION": "3.1.0",
    "CONTACT": {},
    "LICENSE": {},
    "EXTERNAL_DOCS": {},
    "TAGS": [],
    "SCHEMA_PATH_PREFIX": None,
    "SCHEMA_PATH_PREFIX_TRIM": False,
    "PREPROCESSING_HOOKS": [],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums"],
    "APPEND_COMPONENTS": {},
    "SECURITY": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_NO_READ_ONLY_REQUIRED": False,
    "CAMELIZE_NAMES": False,
    "SORT_OPERATIONS": False,
    "SORT_OPERATION_PARAMETERS": False,
    "ENUM_NAME_OVERRIDES": {
        "StatusEnum": Status.choices,
        "OperationEnum": Operation.choices,
        "OutputFormatEnum": OutputFormat.choices,
        "PriorityEnum": [priority.word for priority in Priority],
        "ReviewStateEnum": ReviewState.choices,
    },
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "DISABLE_ERRORS_AND_WARNINGS": False,
}
"""All that could be set otherwise by the site for an API of its own."""

_turn = threading.Lock()
"""The package has one set of settings for a process: two that change it at once would leave ours in it for good."""


def schema() -> dict[str, Any]:
    """The schema as plain values. Whoever comes while it is made waits for it."""
    with _turn:
        return _schema()


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    root = reverse("cms_ai_images:task-list").removesuffix("/tasks/")
    with override("en"), patched_settings({**SETTINGS, "SERVERS": [{"url": root}]}):
        made = SchemaGenerator(urlconf=URLCONF).get_schema(request=None, public=True)
    made["paths"]["/tasks/{uuid}/events/"] = {"get": _events()}
    return json.loads(json.dumps(made))  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _rendered() -> tuple[bytes, str]:
    data = json.dumps(schema(), indent=1, ensure_ascii=False).encode()
    return data, f'"{hashlib.sha256(data).hexdigest()[:32]}"'


@login_not_required  # which requests are possible is nobody's secret
@require_safe
@condition(etag_func=lambda request: _rendered()[1])
def schema_view(request: HttpRequest) -> HttpResponse:
    """The schema as JSON."""
    return HttpResponse(_rendered()[0], content_type="application/json", headers={"Cache-Control": "no-cache"})


@login_not_required
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The schema to read and to try out, in Swagger UI, under a strict policy for scripts."""
    context = {"is_installed": apps.is_installed(SIDECAR), "csrf_cookie": settings.CSRF_COOKIE_NAME}
    return render(request, "cms_ai_images/api/docs.html", context)


@login_not_required
@require_safe
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
def nowhere(request: HttpRequest, rest: str = "") -> HttpResponse:
    """An address that leads nowhere, in the shape of every error."""
    return problem_response(exceptions.NotFound())


def _plain(error: type[exceptions.AIImagesError]) -> str:
    """The sentence as authors read it, with dots for what is filled in."""
    return PLACEHOLDER.sub("…", str(error.author_message or error.message))


def _events() -> dict[str, Any]:
    """The event stream, which is no view of the REST framework."""
    problem = {"content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    uuid = {"in": "path", "name": "uuid", "required": True, "schema": {"type": "string", "format": "uuid"}}
    last = {"in": "header", "name": "Last-Event-ID", "schema": {"type": "string"}}
    return {
        "operationId": "task_events_get",
        "description": (
            "The task as server-sent events: `task` at each change of its row (an `id` with each), `progress` and "
            "`previews` at steps, `health` when workers come and go. The state comes first, also after a break. 204 "
            "where there is nothing to stream: under WSGI, or when `Last-Event-ID` names the end. Then poll."
        ),
        "tags": ["tasks"],
        "parameters": [uuid, last],
        "security": [{"token": []}, {"cookieAuth": []}],
        "responses": {
            "200": {"description": "", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            "204": {"description": "Poll instead, or stop: it is over."},
            **{str(status): {"description": "", **problem} for status in (401, 403, 404)},
        },
    }
