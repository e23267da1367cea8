"""`?wait=seconds`: an answer that is held back until the task has ended.

It begins at once, with its status and headers, and its body comes when there is something to tell. So it holds no
thread and no database connection, whatever proxies think of silence is met with a blank line now and then (which JSON
allows before a value), and a client that goes away is noticed. Under WSGI, where it would hold a whole process, the
answer is complete at once, and the caller asks again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.translation import get_language
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from cms_ai_images.api.events import Notices, Reader, Snapshot, in_any_thread, let_thread_go
from cms_ai_images.exceptions import AIImagesError

LONGEST = 60
"""Seconds."""


class WaitSerializer(serializers.Serializer):
    """The query string of whoever waits."""

    wait = serializers.IntegerField(min_value=0, max_value=LONGEST, default=0)


def end_of_waiting(request: Request, wanted: dict[str, Any]) -> float | None:
    """What `WaitSerializer` has read, from now on and by the monotonic clock; `None` for an answer at once.

    That is also where waiting would hold a process. Ask at the beginning: what a bad day costs before the task is
    known, when Redis hangs for example, is waited for already.
    """
    return time.monotonic() + wanted["wait"] if wanted["wait"] and isinstance(request._request, ASGIRequest) else None


def held(request: Request, pool: str, data: dict[str, Any], until: float, **kwargs: Any) -> HttpResponseBase:
    """An answer whose body is the task as it is when it has ended, or when the time is up. `data` is what it is now."""
    now = Snapshot(pool=pool, task=data, health={})
    body = _body(request, UUID(data["id"]), get_language() or "en", now, until)
    headers = {"Cache-Control": "private, no-cache", "X-Accel-Buffering": "no", **kwargs.pop("headers", {})}
    return StreamingHttpResponse(body, content_type="application/json", headers=headers, **kwargs)


async def _body(request: Request, uuid: UUID, language: str, now: Snapshot, until: float) -> AsyncIterator[bytes]:
    await let_thread_go()
    notices, reader = Notices(now.pool, uuid), Reader(request._request, uuid, language)
    try:
        while not now.is_final and (left := until - time.monotonic()) > 0:
            try:
                notice = await asyncio.wait_for(notices.next(), left)
            except TimeoutError:
                notice = None
            if notice and notice["event"] == "progress":
                continue
            now = await in_any_thread(reader.read)()
            if not now.is_final:
                yield b"\n"
    except AIImagesError:
        pass  # deleted, or no longer the caller's: what was known last is all that can be said
    finally:
        await notices.close()
    yield JSONRenderer().render(now.task)
