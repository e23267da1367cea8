"""Write the OpenAPI schema, `cms_ai_images/api/openapi.json`, anew: `make schema`, after a change of the API.

It is made here and not in a site, because drf-spectacular keeps its settings for a whole process.
"""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import override
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings

from cms_ai_images.api.problems import CONTENT_TYPE
from cms_ai_images.api.schema import FILE
from cms_ai_images.types import Operation, OutputFormat, Priority, ReviewState, Status

SETTINGS: dict[str, Any] = {
    "TITLE": "AI images",
    "DESCRIPTION": (
        "Ask for pictures, follow their making, and take them into the media library. Programs log in with "
        "`Authorization: Bearer aii_...`, browsers with their session and a CSRF token. Every error is a problem "
        "object (RFC 9457) with a stable `code`."
    ),
    "VERSION": "",  # filled in by the site, as the address is
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
"""All that decides what is written."""


def write() -> None:
    """Into the package. `tests/test_schema.py` says when that was forgotten."""
    FILE.write_text(json.dumps(made(), indent=1, ensure_ascii=False) + "\n", "utf-8")


def made() -> dict[str, Any]:
    """The schema as the code says it. Changes settings of drf-spectacular while it is at work."""
    with override("en"), patched_settings(SETTINGS):
        schema = SchemaGenerator(urlconf="cms_ai_images.api.urls").get_schema(request=None, public=True)
    for operations in schema["paths"].values():
        if "get" in operations:
            tell_etag(operations["get"])
    schema["paths"]["/tasks/{uuid}/events/"] = {"get": event_stream()}
    return json.loads(json.dumps(schema))


def tell_etag(operation: dict[str, Any]) -> None:
    """What all JSON answers to GET have in common."""
    answer = operation["responses"].get("200", {})
    if "application/json" not in answer.get("content", {}):
        return
    text = {"type": "string"}
    answer.setdefault("headers", {})["ETag"] = {"schema": text, "description": "What has changed is called otherwise."}
    known = {"in": "header", "name": "If-None-Match", "schema": text, "description": "The `ETag` of an earlier answer."}
    operation.setdefault("parameters", []).append(known)
    operation["responses"]["304"] = {"description": "Nothing has changed since the answer with this `ETag`."}
    operation["responses"] = dict(sorted(operation["responses"].items()))


def event_stream() -> dict[str, Any]:
    """The event stream, which is no view of the REST framework."""
    problem = {"content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    uuid = {"in": "path", "name": "uuid", "required": True, "schema": {"type": "string", "format": "uuid"}}
    challenge = {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "How programs log in."}}
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
            "401": {"description": "", **problem, "headers": challenge},
            **{str(status): {"description": "", **problem} for status in (403, 404)},
        },
    }
