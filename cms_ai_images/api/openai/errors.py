"""Errors as clients of the OpenAI API know them: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import MethodNotAllowed, ValidationError

from cms_ai_images.api.problems import CHALLENGE
from cms_ai_images.exceptions import AIImagesError, GenerationError, by_code, describe
from cms_ai_images.models import GenerationTask

CODES = {
    "insufficient_credits": "insufficient_quota",
    "model_not_available": "model_not_found",
    "not_logged_in": "invalid_api_key",
    "picture_withheld": "content_policy_violation",
    "rate_limited": "rate_limit_exceeded",
    "token_invalid": "invalid_api_key",
    "token_missing": "invalid_api_key",
}
"""Codes that such clients may look for; every other one is ours."""
STATUSES = {"model_not_available": 404, "picture_withheld": 400}
"""Statuses that differ from those of our own API."""
TYPES = {402: "insufficient_quota", 403: "permission_error", 429: "rate_limit_error"}
FIELDS = {"num_images": "n", "width": "size", "height": "size"}
"""Our names of inputs, and theirs."""

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def answers(*methods: str) -> Callable[[View], View]:
    """Make a view take these methods, without session or CSRF token, and answer errors in this shape."""

    def decorate(view: View) -> View:
        @wraps(view)
        async def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                if request.method not in methods:
                    return _wrong_method(request, methods)
                return await view(request, *args, **kwargs)
            except AIImagesError as error:
                return error_response(error)
            except ValidationError as error:
                return invalid_response(error)

        return transaction.non_atomic_requests(csrf_exempt(login_not_required(answer)))

    return decorate


def error_response(error: AIImagesError) -> JsonResponse:
    """One of our own errors."""
    is_worth_repeating = error.retryable and error.status in (429, 503)
    response = _response(
        STATUSES.get(error.code, error.status),
        str(error.author_message or error.message) % error.params if error.params else str(error),
        CODES.get(error.code, error.code),
        FIELDS.get(str(error.field), error.field),
        repeat=is_worth_repeating,
    )
    if is_worth_repeating:
        response["Retry-After"] = str(error.retry_after)
    return response


def failed_response(task: GenerationTask) -> JsonResponse:
    """Why a task failed. The worker has tried again already; whether that is worth another one, a person decides."""
    error = by_code(task.error_code) or GenerationError
    params = {**task.error_params, **({"model": task.model_label} if "model" in task.error_params else {})}
    message = describe(task.error_code, params) or task.error_message
    return _response(STATUSES.get(error.code, error.status), message, CODES.get(error.code, error.code), None)


def invalid_response(error: ValidationError) -> JsonResponse:
    """An input of a wrong kind; the first one speaks for all."""
    errors: Any = error.detail
    field, details = next(iter(errors.items()))
    return _response(400, str(details[0]), str(details[0].code), str(field))


def _wrong_method(request: HttpRequest, methods: tuple[str, ...]) -> JsonResponse:
    error = MethodNotAllowed(str(request.method))
    response = _response(error.status_code, str(error), error.default_code, None)
    response["Allow"] = ", ".join(methods)
    return response


def _response(status: int, message: str, code: str, param: str | None, *, repeat: bool = False) -> JsonResponse:
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    data = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    response = JsonResponse(data, status=status)
    # Such clients repeat what failed on the server's side, by themselves: the pictures would be drawn again.
    response["x-should-retry"] = "true" if repeat else "false"
    if status == 401:
        response["WWW-Authenticate"] = CHALLENGE
    return response
