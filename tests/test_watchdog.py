"""A worker process that must go goes, whatever it hangs in: real processes, and calls that no signal wakes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from cms_ai_images import progress, queue
from cms_ai_images.models import GenerationTask, Worker
from cms_ai_images.types import Status
from cms_ai_images.worker.watchdog import GOODBYE_SECONDS, RESTART, STEP_SECONDS

from .factories import make_model, make_task
from .faults import traps
from .services import child_environment, manage
from .test_reconciler import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

GRACE = 1.0
BOUND = GRACE + STEP_SECONDS + GOODBYE_SECONDS + 5
"""Seconds; `docs/scaling.md` tells systemd to wait longer than this."""
ARRIVAL = 150
"""Seconds that a worker may need to start and come so far, on a machine that others keep busy."""


@pytest.fixture(autouse=True)
def no_traps() -> Iterator[None]:
    traps.clear()
    yield
    traps.clear()


@pytest.fixture
def model(db):
    return make_model(backend="troubled", options={"step_seconds": 0.05})


@contextlib.contextmanager
def worker(*arguments: str, task_seconds: float = 300, **options: float) -> Iterator[subprocess.Popen]:
    """A worker process with a short grace, on storages and a backend that meet traps."""
    limits = {"LIMITS": {"task_seconds": task_seconds}}
    chosen = json.dumps({"STOP_GRACE_SECONDS": GRACE, "LANDING_TIMEOUT_SECONDS": 300, **limits, **options})
    process = subprocess.Popen(
        manage("ai_images_worker", *arguments),
        env=child_environment(DJANGO_SETTINGS_MODULE="tests.faults.settings", AI_IMAGES_TEST_SETTINGS=chosen),
        cwd=settings.BASE_DIR,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def ask(model, **fields) -> GenerationTask:
    task = make_task(None, model, **fields)
    assert queue.dispatch(task)
    return task


@pytest.mark.parametrize(("place", "kind"), [("device", "dead"), ("load", "dead"), ("drafts", "hang_before")])
def test_nothing_outlasts_the_grace(model, place, kind):
    traps.lay(place, kind, seconds=120)
    with worker() as process:
        task = ask(model)
        assert traps.victim(place, ARRIVAL) == process.pid
        begun = time.monotonic()
        process.terminate()
        assert process.wait(BOUND) == 0
        assert time.monotonic() - begun > GRACE
    task.refresh_from_db()
    assert (task.status, task.attempt, task.failures) == (Status.QUEUED, 1, 0)
    assert not Worker.objects.alive().exists()


def test_a_second_signal_ends_the_grace(model):
    with worker(STOP_GRACE_SECONDS=60) as process:
        task = ask(model, steps=2000)
        wait_for(lambda: progress.read("images", task.uuid, 1) is not None, ARRIVAL)
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(BOUND) == 0
    task.refresh_from_db()
    assert (task.status, task.failures) == (Status.QUEUED, 0)


def test_a_signal_before_the_first_task_is_heard_too(model):
    traps.lay("load", "hang", seconds=120)
    with worker("--models", model.slug) as process:
        assert traps.victim("load", ARRIVAL) == process.pid
        process.terminate()
        assert process.wait(BOUND) == 0
    assert not Worker.objects.alive().exists()


@pytest.mark.parametrize("place", ["device", "drafts"])
def test_a_call_that_hangs_for_ever_asks_for_a_new_process(model, place):
    traps.lay(place, "dead" if place == "device" else "hang_before", seconds=120)
    with worker(task_seconds=2, LANDING_TIMEOUT_SECONDS=2, LOAD_TIMEOUT_SECONDS=0) as process:
        task = ask(model, time_limit=2)
        assert traps.victim(place, ARRIVAL) == process.pid
        assert process.wait(30) == RESTART
    assert not Worker.objects.alive().exists()
    with worker():
        wait_for(lambda: GenerationTask.objects.get().status == Status.SUCCEEDED)
    task.refresh_from_db()
    # While one landing hangs, a second attempt is drawn and waits behind it: handed back, or out of time as well.
    assert 1 <= task.failures < task.attempt


def test_a_call_that_keeps_pythons_lock_for_ever_ends_the_process(model):
    traps.lay("device", "dead_locked")
    with worker(task_seconds=2) as process:
        ask(model, time_limit=2)
        assert traps.victim("device", ARRIVAL) == process.pid
        assert process.wait(30) == 1


def test_a_redis_that_does_not_answer_costs_no_lease(model, valkey):
    server = valkey.info("server")["process_id"]
    with worker(LEASE_SECONDS=3, HEARTBEAT_SECONDS=0.5):
        task = ask(model, steps=150)
        wait_for(lambda: progress.read("images", task.uuid, 1) is not None, ARRIVAL)
        later = timezone.now() + timedelta(seconds=9)
        os.kill(server, signal.SIGSTOP)
        try:
            kept = GenerationTask.objects.filter(attempt=1, lease_expires_at__gt=later)
            wait_for(kept.exists)
        finally:
            os.kill(server, signal.SIGCONT)
        wait_for(lambda: GenerationTask.objects.get().status == Status.SUCCEEDED)
    task.refresh_from_db()
    assert (task.attempt, task.failures) == (1, 0)


def test_a_thread_that_a_library_left_behind_does_not_keep_the_process(model):
    traps.lay("device", "lingers", seconds=120)
    ask(model)
    with worker("--burst") as process:
        assert process.wait(60) == 1
    assert GenerationTask.objects.get().status == Status.SUCCEEDED
    assert not Worker.objects.alive().exists()
