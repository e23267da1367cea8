"""What a dead process left behind is set right, by anybody, any number of times."""

from __future__ import annotations

import signal
import subprocess
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from cms_ai_images import progress, queue, reconciler, services
from cms_ai_images.models import GeneratedImage, GenerationTask, Worker
from cms_ai_images.types import GenerationRequest, Priority, ReviewState, Status

from .factories import make_image, make_model, make_task, make_worker
from .services import child_environment, manage
from .test_lifecycle import claim

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = timedelta(minutes=10)


def expire_leases() -> None:
    GenerationTask.objects.filter(status=Status.RUNNING).update(lease_expires_at=timezone.now() - LONG_AGO)


def test_a_lost_lease_is_queued_again_while_attempts_last(author):
    task = make_task(author)
    claim(task)
    assert reconciler.end_lost_leases() == 0
    expire_leases()
    assert reconciler.end_lost_leases() == 1
    task.refresh_from_db()
    assert (task.status, task.failures, task.error_code) == (Status.QUEUED, 1, "worker_lost")
    assert reconciler.end_lost_leases() == 0


def test_a_lost_lease_is_final_after_the_last_attempt(author, settings):
    settings.CMS_AI_IMAGES = {"MAX_FAILURES": 1}
    task = make_task(author)
    claim(task)
    expire_leases()
    reconciler.end_lost_leases()
    task.refresh_from_db()
    assert (task.status, task.error_code) == (Status.FAILED, "worker_lost")


def test_a_lost_lease_of_an_unwanted_task_is_a_cancellation(author):
    task = make_task(author)
    claim(task)
    GenerationTask.objects.update(cancel_requested_at=timezone.now())
    expire_leases()
    reconciler.end_lost_leases()
    task.refresh_from_db()
    assert task.status == Status.CANCELLED


def test_a_task_whose_job_is_lost_is_dispatched_once(author, valkey):
    task = make_task(author, created_at=timezone.now() - LONG_AGO)
    valkey.flushall()
    assert reconciler.dispatch_forgotten() == 1
    assert reconciler.dispatch_forgotten() == 0
    assert queue.get_queue("images", Priority.NORMAL).get_job_ids() == [queue.job_id(task)]


def test_a_fresh_or_pausing_task_is_left_alone(author):
    make_task(author)
    make_task(author, created_at=timezone.now() - LONG_AGO, available_at=timezone.now() + LONG_AGO)
    assert reconciler.dispatch_forgotten() == 0


def test_pictures_that_were_to_be_accepted_at_once_are_accepted_later(author):
    make_image(task=make_task(author, status=Status.SUCCEEDED, auto_accept=True))
    GeneratedImage.objects.update(created_at=timezone.now() - LONG_AGO)
    assert reconciler.accept_forgotten() == 1
    assert reconciler.accept_forgotten() == 0
    assert GeneratedImage.objects.get().review_state == ReviewState.ACCEPTED


def start_worker() -> subprocess.Popen:
    """A worker process whose leases are short, so that its death is noticed soon."""
    return subprocess.Popen(
        manage("ai_images_worker"),
        env=child_environment(
            AI_IMAGES_TEST_SETTINGS='{"LEASE_SECONDS": 2, "HEARTBEAT_SECONDS": 0.5, "RECONCILE_SECONDS": 0.5,'
            ' "RETRY_PAUSES_SECONDS": [0]}'
        ),
    )


def wait_for(condition, seconds: float = 40.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


def test_a_killed_worker_loses_nothing_and_lands_nothing_twice(author):
    make_worker()
    make_model(options={"step_seconds": 0.1})
    first = start_worker()
    second = None
    try:
        task = services.request_generation(author, GenerationRequest(prompt="an apple", steps=20, num_images=2))
        wait_for(lambda: progress.read("images", task.uuid, 1) is not None)
        first.send_signal(signal.SIGKILL)
        first.wait(10)
        second = start_worker()
        wait_for(lambda: GenerationTask.objects.get().status == Status.SUCCEEDED)
    finally:
        for process in filter(None, (first, second)):
            process.terminate()
            process.wait(20)
    task.refresh_from_db()
    assert (task.attempt, task.failures) == (2, 1)
    assert sorted(task.images.values_list("index", flat=True)) == [0, 1]


def test_a_stopped_worker_finishes_what_it_began(author):
    make_worker()
    make_model(options={"step_seconds": 0.1})
    process = start_worker()
    try:
        task = services.request_generation(author, GenerationRequest(prompt="an apple", steps=15))
        wait_for(lambda: progress.read("images", task.uuid, 1) is not None)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
    task.refresh_from_db()
    assert (task.status, task.attempt) == (Status.SUCCEEDED, 1)


def test_a_worker_stops_also_while_redis_is_away(author, valkey_server):
    make_model()
    process = start_worker()
    try:
        wait_for(lambda: Worker.objects.alive().exists())
        time.sleep(1)
        valkey_server.stop()
        time.sleep(1)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        valkey_server.start()
    assert not Worker.objects.alive().exists()
