"""How many queries the API needs: few, and as many however long the history is."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cms_ai_images import progress, services
from cms_ai_images.api.display import task_for_display, tasks_for_display
from cms_ai_images.api.serializers import task_json
from cms_ai_images.types import PictureDetails, Status

from .api import url
from .factories import make_image, make_model, make_preset, make_task, make_worker
from .test_tokens import bearer

AUTHENTICATION = 3
"""The token with its user, and what the user and their groups may."""
SUBMIT = 24
"""Savepoints, limits, the audit trail and the row of the key are among them."""


@pytest.fixture
def headers(author: User) -> dict[str, str]:
    """Of a token that was used a moment ago: its first use is noted."""
    headers = bearer(author)
    Client().get(url("task-ready"), headers=headers)
    return headers


@pytest.fixture
def history(author: User) -> list[Any]:
    """A task of every kind."""
    make_worker()
    preset = make_preset()
    waiting = [make_task(author, preset_version=preset.current_version) for _ in range(3)]
    others = [make_task(author, status=status) for status in Status if status != Status.QUEUED]
    drawn = make_task(author, status=Status.SUCCEEDED, num_images=3)
    images = [make_image(author, task=drawn, index=index) for index in range(3)]
    services.accept(author, images[1], PictureDetails(alt_text="A fox", focal_point=(0.5, 0.5)))
    services.discard(author, images[2])
    Client().get(url("task-detail", drawn.uuid), headers=bearer(author))  # a thumbnail is made at first sight
    return [*waiting, *others, drawn]


@pytest.mark.local_files  # in S3 easy-thumbnails asks the database for each thumbnail
def test_one_task_is_one_query(author: User, history: list[Any], headers: dict[str, str]) -> None:
    for task in history:
        with CaptureQueriesContext(connection) as queries:
            assert Client().get(url("task-detail", task.uuid), headers=headers).status_code == 200
        assert len(queries) == AUTHENTICATION + 1, [query["sql"] for query in queries]


@pytest.mark.local_files
def test_a_page_is_two(author: User, history: list[Any], headers: dict[str, str]) -> None:
    for _ in range(10):
        make_task(author)
    with CaptureQueriesContext(connection) as queries:
        page = Client().get(url("task-list"), {"limit": 100}, headers=headers).json()
    assert len(page["results"]) == len(history) + 10
    assert len(queries) == AUTHENTICATION + 2, [query["sql"] for query in queries]


def test_redis_is_asked_for_the_pace_once_however_many_wait(
    author: User, headers: dict[str, str], valkey: redis.Redis
) -> None:
    make_worker()
    for _ in range(10):
        make_task(author)
    progress.note_pace("images", None, 10)
    valkey.config_resetstat()
    page = Client().get(url("task-list"), headers=headers).json()
    assert [task["eta_seconds"] for task in page["results"]] == [10 * (10 - place) for place in range(10)]
    assert valkey.info("commandstats")["cmdstat_mget"]["calls"] == 1


def test_both_ways_of_reading_tell_the_same(author: User, history: list[Any]) -> None:
    for listed in tasks_for_display():
        shown = task_for_display(pk=listed.pk)
        assert shown is not None
        assert task_json(shown) == task_json(listed)
    drawn = task_for_display(pk=history[-1].pk)
    assert drawn is not None
    first, accepted, discarded = drawn.images.all()
    assert first.file.name and not discarded.file
    assert (first.task, accepted.filer_image.default_alt_text) == (drawn, "A fox")
    assert task_for_display(pk=0) is None


def test_asking_for_pictures_takes_a_bounded_number(author: User, headers: dict[str, str]) -> None:
    make_worker()
    make_model()
    preset = make_preset()
    counts = []
    for number in range(3):
        data = {"prompt": f"a fox {number}", "preset": preset.slug, "num_images": 4}
        with CaptureQueriesContext(connection) as queries:
            response = Client().post(
                url("task-list"),
                json.dumps(data),
                content_type="application/json",
                headers={**headers, "Idempotency-Key": str(number)},
            )
        assert response.status_code == 202
        counts.append(len(queries))
        for _ in range(30):
            make_task(author)
    assert max(counts) <= AUTHENTICATION + SUBMIT, [query["sql"] for query in queries]
    assert counts[1] == counts[2]
