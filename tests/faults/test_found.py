"""What bad days have found, each as a small test of its own."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone
from rq.rate_limit import RateLimitRegistry

from cms_ai_images import outcomes, queue, reconciler, services
from cms_ai_images.connections import get_redis
from cms_ai_images.exceptions import GenerationError
from cms_ai_images.models import Worker
from cms_ai_images.types import Fence, Priority, Status
from cms_ai_images.worker.attempt import carry_out
from cms_ai_images.worker.claiming import claim
from cms_ai_images.worker.heartbeat import Heartbeat
from cms_ai_images.worker.hold import Hold
from cms_ai_images.worker.runtime import Runtime
from tests.factories import make_model, make_task, make_worker
from tests.test_reconciler import wait_for

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
    assert registry.get_rate_limited_job_ids() == [queue.job_id(waiting)]
    reconciler.dispatch_forgotten()
    assert queue.get_queue("images", Priority.NORMAL).get_job_ids() == [queue.job_id(waiting)]
    assert registry.get_allowed_job_ids() == [f"{running.uuid}-1", queue.job_id(waiting)]


def fail(task):
    return outcomes.failed(task, task.fence, GenerationError())


def hand_back(task):
    return outcomes.handed_back(task, task.fence)


@pytest.mark.parametrize("end", [fail, hand_back])
def test_a_wish_to_cancel_outlives_an_attempt_that_goes_wrong(author, end):
    """Queued again, the task would have been drawn after all: a claim starts without old wishes."""
    task = make_task(author, status=Status.RUNNING)
    services.cancel(author, task)
    assert end(task) == Status.CANCELLED
    task.refresh_from_db()
    assert task.status == Status.CANCELLED


def test_a_database_that_goes_away_while_a_batch_fails_leaves_no_lease_behind(author, monkeypatch):
    """The members after the first one were held, and so kept from every other worker, until their deadline."""
    make_model(options={"max_batch": 3, "fail": "device_lost"})
    tasks = [make_task(author) for _ in range(3)]
    runtime = Runtime("images")
    claimed = claim(runtime, str(tasks[0].uuid))
    assert len(claimed) == 3

    def unreachable(*args):
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(outcomes, "failed", unreachable)
    with pytest.raises(OperationalError):
        carry_out(runtime, claimed)
    assert runtime.heartbeat._holds == set()


def test_a_heartbeat_goes_on_whatever_happens_to_it(author, settings):
    settings.CMS_AI_IMAGES = {"HEARTBEAT_SECONDS": 0.05}
    worker = make_worker(heartbeat_at=timezone.now() - LONG_AGO)
    heartbeat = Heartbeat(worker.pk)
    broken = threading.Event()

    class Unlucky(Hold):
        def beat(self) -> None:
            broken.set()
            raise KeyError("an answer that nobody expected")

    heartbeat.keep(Unlucky(uuid4(), Fence(task_id=0, worker_id=worker.pk, attempt=1), timezone.now(), 60))
    heartbeat.start()
    try:
        assert broken.wait(10)
        Worker.objects.update(heartbeat_at=timezone.now() - LONG_AGO)
        wait_for(lambda: Worker.objects.get().is_alive)
    finally:
        heartbeat.stop()
