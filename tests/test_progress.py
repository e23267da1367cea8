"""Progress is a courtesy: a Redis that hangs costs neither a drawing nor a page much, and no wish comes too late."""

from __future__ import annotations

import time
import uuid

import pytest
import redis

from cms_ai_images import connections, progress
from cms_ai_images.types import Progress

HANGS = 2.5
"""Seconds; longer than anybody waits for an answer."""


@pytest.fixture
def rests(monkeypatch):
    """When who may be asked again; forgotten after the test."""
    ends: dict[str, float] = {}
    monkeypatch.setattr(connections, "_rest_ends", ends)
    return ends


def publish(task: uuid.UUID, *, step: int = 1, attempt: int = 1) -> set[uuid.UUID]:
    return progress.publish_steps("images", [(task, Progress(attempt=attempt, step=step, total=28), [])])


def test_a_redis_that_hangs_is_not_waited_for_at_every_step(valkey: redis.Redis, rests, monkeypatch, caplog):
    monkeypatch.setattr(connections, "REST", 0.5)
    task = uuid.uuid4()
    valkey.execute_command("CLIENT", "PAUSE", int(HANGS * 1000), "ALL")
    publish(task)
    begun = time.monotonic()
    for step in range(2, 28):
        publish(task, step=step)
    progress.note_pace("images", 1, 1.0)
    progress.forget("images", task)
    assert time.monotonic() - begun < 0.5
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
    until = time.monotonic() + 20
    while progress.read("images", task, 1) is None:
        assert time.monotonic() < until, "still silent although Redis is back"
        time.sleep(0.1)
        publish(task, step=28)


def test_a_redis_that_is_away_is_asked_again_soon(valkey_server, rests):
    """A refusal costs nothing; a restart, for example, shall not silence anybody for seconds."""
    task = uuid.uuid4()
    valkey_server.stop()
    try:
        assert publish(task) == set()
        assert rests["images"] < time.monotonic() + 1
    finally:
        valkey_server.start()


def test_a_wish_is_for_one_attempt(rests):
    """An old one that could not be dropped, because Redis hung, shall not cancel a retry."""
    task = uuid.uuid4()
    progress.request_cancel("images", task, 1)
    assert publish(task, attempt=1) == {task}
    assert publish(task, attempt=2) == set()
