"""Requests per minute: to the number, by the clock of Redis, and by the rows while that is away."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cms_ai_images import connections, rates, services
from cms_ai_images.exceptions import NoWorker, PromptEmpty, RateLimited, TooManyTasks
from cms_ai_images.models import GenerationModel, GenerationTask, GroupLimits, Worker
from cms_ai_images.types import GenerationRequest, Status

from .factories import make_model, make_task, make_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def model(db: None, settings) -> GenerationModel:
    """Somebody would draw, and three requests a minute are what the setting says by itself."""
    settings.CMS_AI_IMAGES = {}
    make_worker()
    return make_model()


@pytest.fixture
def no_redis(valkey_server, monkeypatch: pytest.MonkeyPatch):
    """Redis is away, and has not been asked lately."""
    valkey_server.stop()
    monkeypatch.setattr(connections, "_rest_ends", {})
    yield
    valkey_server.start()


def ask(user: User, **fields: Any) -> GenerationTask:
    return services.request_generation(user, GenerationRequest(**{"prompt": "a red apple", **fields}))


def taken(valkey: redis.Redis, user: User) -> int:
    return int(valkey.zcard(f"ai-images:rate:requests:{user.pk}"))


def age(valkey: redis.Redis, user: User, seconds: float) -> None:
    """As if so many seconds had passed since each request."""
    key = f"ai-images:rate:requests:{user.pk}"
    for member, score in valkey.zrange(key, 0, -1, withscores=True):
        valkey.zadd(key, {member: score - 1000 * seconds})
    for task in GenerationTask.objects.filter(user=user):
        GenerationTask.objects.filter(pk=task.pk).update(created_at=task.created_at - timedelta(seconds=seconds))


def test_three_a_minute_and_no_more(author: User, other_author: User, valkey: redis.Redis) -> None:
    for _ in range(3):
        ask(author)
    with pytest.raises(RateLimited) as caught:
        ask(author)
    assert GenerationTask.objects.count() == 3
    assert 58 <= caught.value.retry_after <= 60
    assert caught.value.params == {"limit": 3}
    ask(other_author)  # everybody has their own


def test_the_minute_slides(author: User, valkey: redis.Redis) -> None:
    ask(author)
    age(valkey, author, 30)
    ask(author)
    ask(author)
    with pytest.raises(RateLimited) as caught:
        ask(author)
    assert 28 <= caught.value.retry_after <= 30
    age(valkey, author, 30.1)
    ask(author)
    with pytest.raises(RateLimited):
        ask(author)


def test_what_was_refused_does_not_count(author: User, valkey: redis.Redis, settings) -> None:
    settings.CMS_AI_IMAGES = {"LIMITS": {"active_tasks": 1}}
    task = ask(author)
    with pytest.raises(PromptEmpty):
        ask(author, prompt=" ")
    with pytest.raises(TooManyTasks):
        ask(author)
    with pytest.raises(TooManyTasks):
        services.retry(author, make_task(author, status=Status.FAILED))
    services.cancel(author, task)
    Worker.objects.all().delete()
    with pytest.raises(NoWorker):
        ask(author)
    assert taken(valkey, author) == 1


def test_pictures_that_are_there_do_not_count(author: User, valkey: redis.Redis) -> None:
    task = ask(author, seed=7)
    ask(author)
    ask(author)
    assert ask(author, seed=7) == task
    assert taken(valkey, author) == 3


def test_a_retry_is_a_request_but_not_an_operators(author: User, admin: User, valkey: redis.Redis) -> None:
    failed = [make_task(author, status=Status.FAILED) for _ in range(4)]
    for task in failed[:3]:
        services.retry(author, task)
    with pytest.raises(RateLimited):
        services.retry(author, failed[3])
    services.retry(admin, failed[3])
    assert (taken(valkey, author), taken(valkey, admin)) == (3, 0)


def test_a_group_may_ask_more_often_or_as_often_as_it_likes(author: User, valkey: redis.Redis) -> None:
    group = Group.objects.create(name="Writers")
    author.groups.add(group)
    row = GroupLimits.objects.create(group=group, requests_per_minute=5)
    for _ in range(5):
        ask(author)
    with pytest.raises(RateLimited):
        ask(author)
    row.requests_per_minute = 0
    row.save()
    ask(author)
    row.requests_per_minute = 2  # with six in this minute, four of them must pass first
    row.save()
    with pytest.raises(RateLimited) as caught:
        ask(author)
    assert 58 <= caught.value.retry_after <= 60


def test_nothing_is_left_in_redis_after_the_minute(author: User, valkey: redis.Redis) -> None:
    ask(author)
    assert 0 < valkey.pttl(f"ai-images:rate:requests:{author.pk}") <= 60_000


def test_the_api_says_when_to_come_back(author: User) -> None:
    client = Client()
    client.force_login(author)
    address = reverse("cms_ai_images:task-list")
    answers = [client.post(address, {"prompt": "a pear"}, content_type="application/json") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert answers[3].json()["code"] == "rate_limited"
    assert 50 <= int(answers[3]["Retry-After"]) <= 60


class TestWithoutRedis:
    @pytest.mark.usefixtures("no_redis")
    def test_requests_are_stored_and_rows_are_counted(self, author: User, other_author: User) -> None:
        make_task(other_author)
        for _ in range(3):
            ask(author)
        with pytest.raises(RateLimited) as caught:
            ask(author)
        assert 55 <= caught.value.retry_after <= 60
        assert GenerationTask.objects.filter(user=author).count() == 3

    @pytest.mark.usefixtures("no_redis")
    def test_rows_of_other_minutes_do_not_count(self, author: User) -> None:
        for age_seconds in (61, 45, 20):
            make_task(author, created_at=timezone.now() - timedelta(seconds=age_seconds))
        ask(author)
        with pytest.raises(RateLimited) as caught:
            ask(author)
        assert 10 <= caught.value.retry_after <= 15

    @pytest.mark.usefixtures("no_redis")
    def test_one_row_is_read_however_many_there_are(self, author: User, django_assert_num_queries) -> None:
        for _ in range(20):
            make_task(author, created_at=timezone.now() - timedelta(hours=1))
        place = rates.Place(author, 3)
        place.take()
        with django_assert_num_queries(1) as queries:
            place.check_rows()
        assert "LIMIT 1 OFFSET 2" in queries[0]["sql"]

    def test_a_place_that_cannot_be_given_back_costs_a_place_and_nothing_else(
        self, author: User, valkey_server, valkey: redis.Redis
    ) -> None:
        with pytest.raises(PromptEmpty), rates.counted(author, 3):
            valkey_server.stop()
            raise PromptEmpty
        valkey_server.start()


def test_many_at_the_same_moment_get_as_many_as_there_are(author: User, valkey: redis.Redis, settings) -> None:
    """Twenty at once, five places: five tasks, five counted."""
    settings.CMS_AI_IMAGES = {"LIMITS": {"requests_per_minute": 5, "active_tasks": None}}
    start = threading.Barrier(20)
    refused: list[Exception] = []

    def submit() -> None:
        try:
            start.wait(30)
            ask(author)
        except Exception as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=submit) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [type(error) for error in refused] == [RateLimited] * 15
    assert GenerationTask.objects.count() == taken(valkey, author) == 5
