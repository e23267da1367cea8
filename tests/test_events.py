"""Server-sent events under ASGI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from unittest.mock import ANY
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.urls import reverse
from django.utils import timezone

from cms_ai_images import lifecycle, progress
from cms_ai_images.api import events
from cms_ai_images.api.events import REFRESH_SECONDS, REFRESHES_PER_SECOND, Notices
from cms_ai_images.models import APIToken
from cms_ai_images.types import Progress, Status

from .factories import make_task
from .test_lifecycle import claim
from .test_tokens import bearer

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

    async def is_open(self) -> bool:
        """Whether something comes, be it a comment."""
        return bool(await anext(self._chunks, b""))

    async def ended(self) -> bool:
        """Whether nothing more comes."""
        async for chunk in self._chunks:
            assert chunk.startswith((b":", b"event: health"))
        return True


async def test_tells_each_change_and_each_step_and_ends(author):
    task = await sync_to_async(make_task)(author)
    client = await login(author)
    response = await client.get(events_url(task))
    assert response["Content-Type"] == "text/event-stream"
    told = Events(response)
    name, data = await told.next()
    assert (name, data["status"], data["position"]) == ("task", "queued", 1)

    assert await told.next() == ("health", {"status": "no_worker", "workers": 0, "queued": 1, "detail": ANY})

    fence = await sync_to_async(claim)(task)
    name, data = await told.next()
    assert (name, data["status"]) == ("task", "running")
    name, data = await told.next()
    assert (name, data["status"], data["workers"]) == ("health", "ok", 1)

    step = Progress(attempt=fence.attempt, step=2, total=8)
    await sync_to_async(progress.publish_steps)(task.pool, [(task.uuid, step, [])])
    assert await told.next() == ("progress", {"step": 2, "total": 8, "previews": 0})

    step = Progress(attempt=fence.attempt, step=4, total=8)
    await sync_to_async(progress.publish_steps)(task.pool, [(task.uuid, step, [b"one", b"two"])])
    assert await told.next() == ("progress", {"step": 4, "total": 8, "previews": 2})
    assert await told.next() == ("previews", {"step": 4, "images": ["b25l", "dHdv"]})

    await sync_to_async(lifecycle.transition)(task, Status.SUCCEEDED, fence=fence)
    name, data = await told.next()
    assert (name, data["status"]) == ("task", "succeeded")
    assert await told.ended()


async def test_a_finished_task_is_told_once(author):
    task = await sync_to_async(make_task)(author, status=Status.FAILED)
    client = await login(author)
    told = Events(await client.get(events_url(task)))
    assert (await told.next())[1]["status"] == "failed"
    assert await told.ended()


async def test_goes_on_without_redis(author, valkey_server):
    task = await sync_to_async(make_task)(author)
    client = await login(author)
    valkey_server.stop()
    try:
        told = Events(await client.get(events_url(task)))
        assert (await told.next())[1]["status"] == "queued"
        assert (await told.next())[0] == "health"
        await sync_to_async(lifecycle.transition)(task, Status.CANCELLED)
        assert (await told.next())[1]["status"] == "cancelled"
    finally:
        valkey_server.start()


async def test_tasks_of_others_are_not_there(author, other_author):
    task = await sync_to_async(make_task)(author)
    response = await (await login(other_author)).get(events_url(task))
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    response = await AsyncClient().get(events_url(task))
    assert (response.status_code, response.json()["code"]) == (401, "token_missing")


@pytest.mark.parametrize("way", ["token", "session"])
@pytest.mark.parametrize("loss", ["permission", "account", "login"])
async def test_ends_for_whoever_may_no_longer_listen(author, monkeypatch, way, loss):
    """Whatever it is that they have lost meanwhile. Nothing else happens to the task."""
    monkeypatch.setattr(events, "RECHECK_SECONDS", 0)
    monkeypatch.setattr(events, "REFRESH_SECONDS", 0.05)
    task = await sync_to_async(make_task)(author)
    headers = await sync_to_async(bearer)(author) if way == "token" else {}
    client = AsyncClient() if way == "token" else await login(author)
    told = Events(await client.get(events_url(task), headers=headers))
    assert (await told.next())[0] == "task"
    assert (await told.next())[0] == "health"
    assert await told.is_open()
    if loss == "permission":
        await author.user_permissions.aclear()
    elif loss == "account":
        await User.objects.filter(pk=author.pk).aupdate(is_active=False)
    elif way == "token":
        await APIToken.objects.aupdate(revoked_at=timezone.now())
    else:
        await client.alogout()
    async with asyncio.timeout(30):
        assert await told.ended()
    response = await client.get(events_url(task), headers=headers)
    assert response.status_code == (403 if loss == "permission" else 401)


async def test_a_new_password_ends_what_the_old_one_began(author, monkeypatch):
    monkeypatch.setattr(events, "RECHECK_SECONDS", 0)
    monkeypatch.setattr(events, "REFRESH_SECONDS", 0.05)
    task = await sync_to_async(make_task)(author)
    told = Events(await (await login(author)).get(events_url(task)))
    assert await told.is_open()
    author.set_password("another one")
    await author.asave()
    async with asyncio.timeout(30):
        assert await told.ended()


async def test_who_still_may_is_asked_for_now_and_then_only(author, monkeypatch):
    asked = []
    monkeypatch.setattr(events, "REFRESH_SECONDS", 0.05)
    monkeypatch.setattr(events, "identify_again", lambda request: asked.append(request) or request.user)
    task = await sync_to_async(make_task)(author)
    told = Events(await (await login(author)).get(events_url(task)))
    for _ in range(5):
        assert await told.is_open()
    assert asked == []


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
