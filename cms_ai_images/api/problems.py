"""Errors as RFC 9457 problem details: a stable code, a translated sentence and the input that is at fault."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import JsonResponse
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler
from drf_standardized_errors.types import ErrorResponse
from rest_framework import exceptions as drf_exceptions
from rest_framework.response import Response

from cms_ai_images.exceptions import AIImagesError, NotFound
from cms_ai_images.models import GeneratedImage, GenerationTask

CONTENT_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="ai-images"'
"""`WWW-Authenticate` of a 401: it makes no browser open a window of its own."""


def problem(status: int, code: str, detail: str, errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """One problem object. `errors` names each input that is at fault."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": errors or [{"field": None, "code": code, "detail": detail}],
    }


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


class ProblemFormatter(ExceptionFormatter):
    """The framework's own errors (bad JSON, wrong types, not logged in) in the same shape."""

    def format_error_response(self, error_response: ErrorResponse) -> dict[str, Any]:
        """Keep every error; the first one speaks for all."""
        errors = [
            {
                "field": error.attr if error.attr != "non_field_errors" else None,
                "code": error.code,
                "detail": error.detail,
            }
            for error in error_response.errors
        ]
        first = errors[0]
        return problem(self.exc.status_code, str(first["code"]), str(first["detail"]), errors)


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
