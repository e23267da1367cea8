"""What bad days have found, each as a small test of its own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from rq.rate_limit import RateLimitRegistry

from cms_ai_images import queue, reconciler
from cms_ai_images.connections import get_redis
from cms_ai_images.types import Priority, Status
from tests.factories import make_task

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = timedelta(minutes=10)


def test_places_of_ended_attempts_do_not_hold_an_author_up(author):
    """A Valkey that comes back with an old snapshot, or loses a job's end, held the next task up for 90 seconds."""
    running = make_task(author, status=Status.RUNNING)
    ended = [make_task(author, status=Status.SUCCEEDED) for _ in range(2)]
    waiting = make_task(author, created_at=timezone.now() - LONG_AGO)
    registry = RateLimitRegistry(queue.limit_key(waiting), connection=get_redis("images"))
    for task in (running, *ended):
        registry.connection.zadd(registry.allowed_key, {f"{task.uuid}-1": 1})
    queue.dispatch(waiting)
    assert queue.held_jobs(waiting) == {queue.job_id(waiting)}
    reconciler.dispatch_forgotten()
    assert queue.known_jobs("images", Priority.NORMAL) == {queue.job_id(waiting)}
    assert registry.get_allowed_job_ids() == [f"{running.uuid}-1", queue.job_id(waiting)]
