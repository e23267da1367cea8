"""How views describe themselves for the OpenAPI schema, independent of the site's own settings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, extend_schema

from cms_ai_images.api.problems import CONTENT_TYPE
from cms_ai_images.api.shapes import ProblemSerializer

UNSAFE = ("POST", "PUT", "PATCH")
PASSING = {429, 503}
"""What comes with `Retry-After` where trying again can help."""


class APISchema(AutoSchema):
    """Adds what every view may answer with: who may not, what is not there, and inputs that are at fault."""

    def get_operation_id(self) -> str:
        """The view and the method, for example `task_list_post`: clients call their functions so."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self.view).__name__.removesuffix("View"))
        return f"{words}_{self.method}".lower()

    def get_tags(self) -> list[str]:
        """The first part of the path."""
        return [self.path.strip("/").split("/")[0]]

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        for status in self._common_problems():
            bodies.setdefault(str(status), self._problem(status))
        return dict(sorted(bodies.items()))

    def _common_problems(self) -> Iterable[int]:
        if self.view.permission_classes:
            yield from (401, 403)
        if "{" in self.path:
            yield 404
        if self.method != "GET":
            yield 411
        if self.get_request_serializer() is not None and self.method in UNSAFE:
            yield from (400, 413, 415)

    def _problem(self, status: int) -> Any:
        return self._get_response_for_code(ProblemSerializer, str(status), media_types=[CONTENT_TYPE])


class TokenScheme(OpenApiAuthenticationExtension):
    """Personal tokens."""

    target_class = "cms_ai_images.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """As RFC 6750 says."""
        return {"type": "http", "scheme": "bearer", "description": "A personal token: `aii_...`."}


class Body(OpenApiSerializerExtension):
    """What programs send has no names beside those that are told."""

    target_class = "cms_ai_images.api.serializers.BodySerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        """The usual description, and that it is all."""
        described = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**described, "additionalProperties": False}


def documented(
    ok: dict[Any, Any],
    *,
    problems: Iterable[int] = (),
    request: Any = None,
    parameters: Iterable[Any] = (),
    **kwargs: Any,
) -> Any:
    """Describe one method of a view.

    `ok` maps the statuses that are no errors to what is answered, `problems` lists errors beside the common ones, and
    `request` is the serializer of the body, `parameters` are those of the address and of headers, also of the answer's.
    The rest goes to `extend_schema`.
    """
    errors = {(status, CONTENT_TYPE): ProblemSerializer for status in problems}
    headers = [answer_header("WWW-Authenticate", "How programs log in.", 401)]
    if passing := sorted(PASSING.intersection(problems)):
        headers.append(answer_header("Retry-After", "Seconds until it is worth trying again.", *passing))
    described = extend_schema(request=request, responses={**ok, **errors}, parameters=[*parameters, *headers], **kwargs)

    def decorate(method: Any) -> Any:
        method.schema = APISchema()  # else the site's own default would be what is extended
        return described(method)

    return decorate


def answer_header(name: str, description: str, *statuses: int) -> OpenApiParameter:
    """A header of an answer."""
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description, response=list(statuses))
