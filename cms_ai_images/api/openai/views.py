"""`images/generations` and `models`.

The former waits for its pictures without a database connection and, under ASGI with middleware that is asynchronous,
without a thread. It cannot begin to answer before it knows the status, as `wait=` does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from cms_ai_images import conf, idempotency, services
from cms_ai_images.api.authentication import TokenAuthentication, check_scope
from cms_ai_images.api.events import Notices, no_connection_kept
from cms_ai_images.api.images import picture_bytes, private_file
from cms_ai_images.api.openai import shapes
from cms_ai_images.api.openai.errors import answers, failed_response
from cms_ai_images.exceptions import ModelNotAvailable, NotFound, StillDrawing, TaskCancelled, TokenMissing
from cms_ai_images.models import GenerationModel, GenerationTask
from cms_ai_images.models.tokens import Scope
from cms_ai_images.resolution import models_for
from cms_ai_images.types import OutputFormat, Status


def in_a_thread(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """For what asks the database."""

    def call(*args: Any) -> Any:
        with no_connection_kept():
            return function(*args)

    return sync_to_async(call)


@answers("POST")
async def generations(request: HttpRequest) -> HttpResponseBase:
    """Ask for pictures, wait for them, and give them. Who goes away finds them in the history."""
    task, as_url = await in_a_thread(_begin)(request)
    await _ended(task)
    return await in_a_thread(_deliver)(request, task, as_url)


@answers("GET")
async def models(request: HttpRequest) -> HttpResponseBase:
    """The models that can be named, and other names for them."""
    found = await in_a_thread(_models)(request)
    return JsonResponse({"object": "list", "data": [shapes.model_json(model, name) for name, model in found.items()]})


@answers("GET")
async def model(request: HttpRequest, name: str) -> HttpResponseBase:
    """One of them."""
    found = await in_a_thread(_models)(request)
    if name not in found:
        raise ModelNotAvailable
    return JsonResponse(shapes.model_json(found[name], name))


@answers("GET", "HEAD")
async def file(request: HttpRequest, signed: str) -> HttpResponseBase:
    """A picture, for whoever was given its address. Such clients load it without their key."""
    return await in_a_thread(_file)(signed)


@answers("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
async def not_offered(request: HttpRequest) -> HttpResponseBase:
    """Whatever else that API has."""
    raise NotFound


def _user(request: HttpRequest, scope: Scope) -> Any:
    """Whose token it is. A session is not enough: a page of another site could use it, as nobody asks for CSRF here."""
    found = TokenAuthentication().authenticate(request)
    if found is None:
        raise TokenMissing
    user, token = found
    services.check_permission(user)
    check_scope(token, scope)
    return user


def _begin(request: HttpRequest) -> tuple[GenerationTask, bool]:
    user = _user(request, Scope.GENERATE)
    wish = shapes.read(request, user)
    if (key := request.headers.get(idempotency.HEADER)) is not None:
        task, _was_there = idempotency.request_once(user, key, wish.request)
        return task, wish.as_url
    return services.request_generation(user, wish.request), wish.as_url


async def _ended(task: GenerationTask) -> None:
    """Return when it has ended, in whatever way. Raises `StillDrawing` after `OPENAI_WAIT_SECONDS`."""
    seconds = conf.get("OPENAI_WAIT_SECONDS")
    until = time.monotonic() + seconds
    notices = Notices(task.pool, task.uuid)
    try:
        while await in_a_thread(_is_open)(task):
            if (left := until - time.monotonic()) <= 0:
                raise StillDrawing(seconds=seconds, task=task.uuid)
            await _news(notices, left)
    finally:
        await notices.close()


async def _news(notices: Notices, seconds: float) -> None:
    """Return when the row is worth reading again, or when the time is up.

    The caller has to look at the clock: in Python 3.11 a cancellation can get lost within `asyncio.wait_for`, which the
    client of Redis uses. The notices themselves then end the waiting within some seconds.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (notice := await notices.next()) and notice["event"] == "progress":
                pass


def _is_open(task: GenerationTask) -> bool:
    return GenerationTask.objects.filter(pk=task.pk, status__in=Status.active()).exists()


def _deliver(request: HttpRequest, task: GenerationTask, as_url: bool) -> HttpResponseBase:
    found = GenerationTask.objects.filter(pk=task.pk).first()
    if found is None or found.status == Status.CANCELLED:
        raise TaskCancelled
    if found.status == Status.FAILED:
        return failed_response(found)
    return JsonResponse(shapes.images_json(request, found, as_url=as_url))


def _models(request: HttpRequest) -> dict[str, GenerationModel]:
    own = {model.slug: model for model in models_for(_user(request, Scope.READ))}
    others = conf.get("OPENAI_MODELS").items()
    return {**{name: own[slug] for name, slug in others if slug in own}, **own}


def _file(signed: str) -> HttpResponseBase:
    image = shapes.signed_image(signed)
    return private_file(picture_bytes(image), OutputFormat(image.output_format).mime_type)
