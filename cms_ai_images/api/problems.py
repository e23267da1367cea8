"""Errors as RFC 9457 problem details: a stable code, a translated sentence and the input that is at fault."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler
from drf_standardized_errors.types import ErrorResponse
from rest_framework import exceptions as drf_exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings

from cms_ai_images.exceptions import AIImagesError, NotFound, RequestTooLarge
from cms_ai_images.models import GeneratedImage, GenerationTask

CONTENT_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="ai-images"'
"""`WWW-Authenticate` of a 401: it makes no browser open a window of its own."""


FRAMEWORK_CODES: dict[str, tuple[int, str | Promise]] = {
    "parse_error": (400, _("The body is not JSON.")),
    "permission_denied": (403, _("The CSRF token of this session is missing or wrong.")),
    "method_not_allowed": (405, _("This address does not know this method.")),
    "unsupported_media_type": (415, _("The body has a type that is not taken here. Send JSON.")),
    "required": (400, _("The field is missing.")),
    "null": (400, _("The field may not be null.")),
    "blank": (400, _("The field may not be empty.")),
    "empty": (400, _("The list may not be empty.")),
    "no_name": (400, _("The file has no name.")),
    "not_a_list": (400, _("A list is expected.")),
    "not_a_dict": (400, _("An object is expected.")),
    "invalid_choice": (400, _("The value is none of those that are possible.")),
    "max_length": (400, _("The value is too long.")),
    "min_length": (400, _("The value is too short.")),
    "max_value": (400, _("The number is too large.")),
    "min_value": (400, _("The number is too small.")),
    "max_string_length": (400, _("The number has too many digits.")),
    "overflow": (400, _("The number is too large to count with.")),
    "datetime": (400, _("A day is expected, not a time.")),
    "invalid_unicode": (400, _("Only letters, digits, underscores and hyphens are possible.")),
    "null_characters_not_allowed": (400, _("The text holds a null character.")),
    "surrogate_characters_not_allowed": (400, _("The text holds half a character.")),
}
"""The codes of the REST framework that can occur: status and meaning. Those of a field come with that field."""


def problem(status: int, code: str, detail: str, errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """One problem object. `errors` names each input that is at fault."""
    return {
        "type": f"{reverse('cms_ai_images:problems')}#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _printable(detail),
        "code": code,
        "errors": [
            {**error, "field": error["field"] and _printable(error["field"]), "detail": _printable(error["detail"])}
            for error in errors or [{"field": None, "code": code, "detail": detail}]
        ],
    }


def _printable(text: Any) -> str:
    """Errors repeat what was sent, and JSON can name halves of characters, which no answer can be written with."""
    return str(text).encode(errors="replace").decode()


def problem_of(error: AIImagesError) -> dict[str, Any]:
    """The problem object of one of our own errors."""
    detail = str(error)
    return problem(error.status, error.code, detail, [{"field": error.field, "code": error.code, "detail": detail}])


def problem_response(error: AIImagesError) -> JsonResponse:
    """The same as a plain Django response, for views outside the REST framework."""
    response = JsonResponse(problem_of(error), status=error.status, content_type=CONTENT_TYPE)
    if error.status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = CHALLENGE
    return response


def method_not_allowed(*allowed: str) -> JsonResponse:
    """A 405 for such views."""
    status, detail = FRAMEWORK_CODES["method_not_allowed"]
    data = problem(status, "method_not_allowed", str(detail))
    return JsonResponse(data, status=status, content_type=CONTENT_TYPE, headers={"Allow": ", ".join(allowed)})


def for_everybody(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A view that needs no login and does nothing: other methods are told so in the usual shape, not as a CSRF page."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return method_not_allowed("GET", "HEAD")
        return view(request, *args, **kwargs)

    return csrf_exempt(login_not_required(answer))


class ProblemFormatter(ExceptionFormatter):
    """The framework's own errors (bad JSON, wrong types, not logged in) in the same shape."""

    def format_error_response(self, error_response: ErrorResponse) -> dict[str, Any]:
        """Keep every error; the first one speaks for all."""
        errors = [
            {"field": _field(error.attr), "code": error.code, "detail": error.detail} for error in error_response.errors
        ]
        first = errors[0]
        return problem(self.exc.status_code, str(first["code"]), str(first["detail"]), errors)


def _field(path: str | None) -> str | None:
    """The input, without the framework's word for an object as a whole: `references.0.non_field_errors`."""
    *within, last = (path or "").split(".")
    return ".".join([*within, *([] if last == api_settings.NON_FIELD_ERRORS_KEY else [last])]) or None


class ProblemHandler(ExceptionHandler):
    """Formats with `ProblemFormatter`, whatever the site's own settings of that package say."""

    def format_exception(self, exc: drf_exceptions.APIException) -> dict:
        """The problem object."""
        return ProblemFormatter(exc, self.context, self.exc).run()


def exception_handler(exc: Exception, context: Any) -> Response | None:
    """The handler of all API views."""
    response: Response | None
    if isinstance(exc, GenerationTask.DoesNotExist | GeneratedImage.DoesNotExist):
        exc = NotFound()  # deleted in this moment
    elif isinstance(exc, RequestDataTooBig):
        exc = RequestTooLarge(limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    if isinstance(exc, AIImagesError):
        retry = {"Retry-After": str(exc.retry_after)} if exc.retryable else None
        response = Response(problem_of(exc), status=exc.status, headers=retry)
    else:
        response = ProblemHandler(exc, context).run()
    if response is not None:
        response.content_type = CONTENT_TYPE
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            response["WWW-Authenticate"] = CHALLENGE
    return response
