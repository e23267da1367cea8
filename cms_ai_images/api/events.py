"""Server-sent events for one task: its row at each change, its steps and small pictures in between, and what is amiss.

One stream tells all that a reader who waits would otherwise ask for again and again.

An open stream holds no database connection and no thread. Under WSGI, where a stream would hold a whole process, the
answer is 204 and the caller polls.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from uuid import UUID
from weakref import WeakSet

from asgiref.sync import SyncToAsync, sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.core.handlers.asgi import ASGIRequest
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.translation import get_language, override
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import RedisError

from cms_ai_images import conf, health, progress, services
from cms_ai_images.api.authentication import check_login, check_scope, identify, identify_again
from cms_ai_images.api.display import task_for_display
from cms_ai_images.api.problems import method_not_allowed, problem_response
from cms_ai_images.api.serializers import task_json
from cms_ai_images.connections import get_async_redis
from cms_ai_images.exceptions import AIImagesError, NotFound
from cms_ai_images.models.tokens import Scope
from cms_ai_images.types import Status

REFRESH_SECONDS = 5.0
"""How often the row is read although nobody announced a change: places in the queue move, and notices can get lost."""
REFRESHES_PER_SECOND = 20
"""Most of that in one process. Hundreds of open streams are refreshed less often, or nothing else would be done."""
RECHECK_SECONDS = 15.0
"""How often it is looked whether whoever listens still may. It is noticed when the row is read the next time."""
WITHOUT_REDIS_SECONDS = 2.0
"""How often the row is read while Redis is away."""


@transaction.non_atomic_requests  # it would have to be open as long as the stream
@login_not_required  # a token is no login; the view itself says 401
@csrf_exempt  # nothing but GET does anything, and every error has the same shape
async def task_events(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    """Stream the caller's task until it ends, at most `EVENTS_MAX_SECONDS`; the browser then connects again."""
    if request.method != "GET":
        return method_not_allowed("GET")
    if not isinstance(request, ASGIRequest):
        return HttpResponse(status=204)
    language = get_language() or "en"
    try:
        first = await sync_to_async(_first_snapshot)(request, uuid, language)
    except AIImagesError as error:
        return problem_response(error)
    if first.is_final and request.headers.get("Last-Event-ID") == first.event_id:
        return HttpResponse(status=204)  # the end has been told; a browser connects again after any other answer
    stream = _stream(request, uuid, language, first)
    response = StreamingHttpResponse(stream, content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return response


@dataclasses.dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What is told of a task: its pool, its JSON and the state of the workers that draw it."""

    pool: str
    task: dict[str, Any]
    health: dict[str, Any]

    @property
    def event_id(self) -> str:
        """The same for the same state. What came before a state needs no telling, so it says all that was missed."""
        return hashlib.sha256(json.dumps(self.task, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self.task["status"] in Status.final()


async def _stream(request: HttpRequest, uuid: UUID, language: str, now: Snapshot) -> AsyncIterator[bytes]:
    """The state comes first, also after a break: steps and previews of the meantime are in it, and not told again."""
    await let_thread_go()
    yield _event("task", now.task, now.event_id)
    if not now.is_final:
        yield _event("health", now.health)
    until = time.monotonic() + conf.get("EVENTS_MAX_SECONDS")
    notices, reader = Notices(now.pool, uuid), Reader(request, uuid, language)
    try:
        while not now.is_final and time.monotonic() < until:
            notice = await notices.next()
            if notice and notice["event"] == "progress":
                notice.pop("event")
                yield _event("progress", notice)
                if previews := await notices.previews(notice["previews"]):
                    yield _event("previews", {"step": notice["step"], "images": previews})
                continue
            before = now
            try:
                now = await in_any_thread(reader.read)()
            except AIImagesError:
                return  # deleted, or the caller may no longer see it: who connects again is told
            changed = now.task != before.task
            yield _event("task", now.task, now.event_id) if changed else b": still here\n\n"
            if now.health["status"] != before.health["status"] and not now.is_final:
                yield _event("health", now.health)
    finally:
        await notices.close()


class Reader:
    """Reads a task again and again for somebody who may lose their login or permission meanwhile."""

    def __init__(self, request: HttpRequest, uuid: UUID, language: str) -> None:
        self._request = request
        self._uuid = uuid
        self._language = language
        self._due = time.monotonic() + RECHECK_SECONDS

    def read(self) -> Snapshot:
        """The task now. Raises what `identify_again` and `snapshot` raise."""
        with no_connection_kept():
            if time.monotonic() >= self._due:
                self._request.user = identify_again(self._request)
                self._due = time.monotonic() + RECHECK_SECONDS
            return snapshot(self._request, self._uuid, self._language)


class Notices:
    """What `progress` publishes about one task. Goes on without Redis, with nothing to tell."""

    listening: ClassVar[WeakSet[Notices]] = WeakSet()
    """All there are in this process."""

    def __init__(self, pool: str, uuid: UUID) -> None:
        self._redis = get_async_redis(pool)
        self._pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
        self._uuid = uuid
        self._channel = progress.channel(uuid)
        self._subscribed = False
        self._due = 0.0
        Notices.listening.add(self)

    async def next(self) -> dict[str, Any] | None:
        """The next notice; `None` when it is time to read the row."""
        try:
            if not self._subscribed:
                await self._pubsub.subscribe(self._channel)
                self._subscribed = True
                self._due = time.monotonic() + self.pause()
                return None  # whatever happened before the subscription is in the row
            while (left := self._due - time.monotonic()) > 0:
                if message := await self._pubsub.get_message(timeout=left):
                    notice: dict[str, Any] = json.loads(message["data"])
                    return notice
        except RedisError:
            self._subscribed = False
            await asyncio.sleep(WITHOUT_REDIS_SECONDS)
        self._due = time.monotonic() + self.pause()
        return None

    @staticmethod
    def pause() -> float:
        """Seconds until the row is read although nobody announced a change."""
        return max(REFRESH_SECONDS, len(Notices.listening) / REFRESHES_PER_SECOND)

    async def previews(self, count: int) -> list[str]:
        """The latest small JPEGs in Base64, `count` of them; none where Redis has gone in between."""
        try:
            return [base64.b64encode(jpeg).decode() for jpeg in await progress.previews(self._redis, self._uuid, count)]
        except RedisError:
            return []

    async def close(self) -> None:
        """Give the connection back."""
        Notices.listening.discard(self)
        await self._pubsub.aclose()  # type: ignore[no-untyped-call]
        await self._redis.aclose()


def _first_snapshot(request: HttpRequest, uuid: UUID, language: str) -> Snapshot:
    """The same, once it is known who asks."""
    with no_connection_kept():
        request.user, token = identify(request)
        check_login(request, request.user)
        check_scope(token, Scope.READ)
        return snapshot(request, uuid, language)


def snapshot(request: HttpRequest, uuid: UUID, language: str) -> Snapshot:
    """All that is told of the task."""
    with no_connection_kept():
        services.check_permission(request.user)
        task = task_for_display(uuid=uuid, user=request.user.pk)
        if task is None:
            raise NotFound
        with override(language):
            state = dataclasses.asdict(health.check(task.pool))
            return Snapshot(pool=task.pool, task=task_json(task), health=state)


async def let_thread_go() -> None:
    """End the thread that Django keeps for each request until its answer is complete: a stream's takes long to be."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    executor = SyncToAsync.context_to_thread_executor.pop(context, None) if context else None
    if executor:
        await asyncio.get_running_loop().run_in_executor(executor, connections.close_all)
        executor.shutdown(wait=False)


def in_any_thread(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """For a stream that asks the database now and then: the few threads that the event loop has for everybody."""
    return sync_to_async(function, thread_sensitive=False)


@contextmanager
def no_connection_kept() -> Iterator[None]:
    """Hundreds of streams would hold hundreds of database connections."""
    try:
        yield
    finally:
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:
                connection.close()


def _event(name: str, data: dict[str, Any], event_id: str = "") -> bytes:
    """One event. The browser sends the last id that it was given as `Last-Event-ID` when it connects again."""
    identity = f"id: {event_id}\n" if event_id else ""
    return f"event: {name}\ndata: {json.dumps(data)}\n{identity}\n".encode()
