"""Server-sent events under ASGI."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from unittest.mock import ANY
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from django.urls import reverse

from cms_ai_images import lifecycle, progress
from cms_ai_images.api.events import REFRESH_SECONDS, REFRESHES_PER_SECOND, Notices
from cms_ai_images.types import Progress, Status

from .factories import make_task
from .test_lifecycle import claim

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


def events_url(task) -> str:
    return reverse("cms_ai_images:task-events", args=[task.uuid])


async def login(user) -> AsyncClient:
    client = AsyncClient()
    await sync_to_async(client.force_login)(user)
    return client


class Events:
    """The events of a streaming response, one by one."""

    def __init__(self, response) -> None:
        self._chunks: AsyncIterator[bytes] = aiter(response.streaming_content)

    async def next(self) -> tuple[str, dict]:
        """The next event, passing over comments."""
        async for chunk in self._chunks:
            lines = chunk.decode().splitlines()
            if lines[0].startswith("event: "):
                return lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))
        raise StopAsyncIteration

    async def ended(self) -> bool:
        """Whether nothing more comes."""
        async for chunk in self._chunks:
            assert chunk.startswith(b":")
        return True


async def test_tells_each_change_and_each_step_and_ends(author):
    task = await sync_to_async(make_task)(author)
    client = await login(author)
    response = await client.get(events_url(task))
    assert response["Content-Type"] == "text/event-stream"
    events = Events(response)
    name, data = await events.next()
    assert (name, data["status"], data["position"]) == ("task", "queued", 1)

    assert await events.next() == ("health", {"status": "no_worker", "workers": 0, "queued": 1, "detail": ANY})

    fence = await sync_to_async(claim)(task)
    name, data = await events.next()
    assert (name, data["status"]) == ("task", "running")
    name, data = await events.next()
    assert (name, data["status"], data["workers"]) == ("health", "ok", 1)

    step = Progress(attempt=fence.attempt, step=2, total=8)
    await sync_to_async(progress.publish_steps)(task.pool, [(task.uuid, step, [])])
    assert await events.next() == ("progress", {"step": 2, "total": 8, "previews": 0})

    step = Progress(attempt=fence.attempt, step=4, total=8)
    await sync_to_async(progress.publish_steps)(task.pool, [(task.uuid, step, [b"one", b"two"])])
    assert await events.next() == ("progress", {"step": 4, "total": 8, "previews": 2})
    assert await events.next() == ("previews", {"step": 4, "images": ["b25l", "dHdv"]})

    await sync_to_async(lifecycle.transition)(task, Status.SUCCEEDED, fence=fence)
    name, data = await events.next()
    assert (name, data["status"]) == ("task", "succeeded")
    assert await events.ended()


async def test_a_finished_task_is_told_once(author):
    task = await sync_to_async(make_task)(author, status=Status.FAILED)
    client = await login(author)
    events = Events(await client.get(events_url(task)))
    assert (await events.next())[1]["status"] == "failed"
    assert await events.ended()


async def test_goes_on_without_redis(author, valkey_server):
    task = await sync_to_async(make_task)(author)
    client = await login(author)
    valkey_server.stop()
    try:
        events = Events(await client.get(events_url(task)))
        assert (await events.next())[1]["status"] == "queued"
        assert (await events.next())[0] == "health"
        await sync_to_async(lifecycle.transition)(task, Status.CANCELLED)
        assert (await events.next())[1]["status"] == "cancelled"
    finally:
        valkey_server.start()


async def test_tasks_of_others_are_not_there(author, other_author):
    task = await sync_to_async(make_task)(author)
    response = await (await login(other_author)).get(events_url(task))
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    response = await AsyncClient().get(events_url(task))
    assert (response.status_code, response.json()["code"]) == (401, "not_logged_in")


async def test_hundreds_of_streams_read_the_database_no_more_often_together():
    pool = "images"
    few = [Notices(pool, uuid4()) for _ in range(10)]
    assert few[0].pause() == REFRESH_SECONDS
    many = [Notices(pool, uuid4()) for _ in range(490)]
    assert few[0].pause() == pytest.approx(500 / REFRESHES_PER_SECOND)
    for notices in many:
        await notices.close()
    assert few[0].pause() == REFRESH_SECONDS
    for notices in few:
        await notices.close()
