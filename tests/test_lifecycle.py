"""Every move of a task is one guarded UPDATE."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from django.utils import timezone

from cms_ai_images import lifecycle, outcomes
from cms_ai_images.exceptions import DeviceLost, GenerationError
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Fence, Status

from .factories import make_task, make_worker

pytestmark = pytest.mark.django_db


def task_in(status: Status) -> GenerationTask:
    """A task in this state, held by a worker where the state needs one."""
    task = make_task()
    if status is Status.RUNNING:
        claim(task)
    else:
        GenerationTask.objects.filter(pk=task.pk).update(status=status)
    task.refresh_from_db()
    return task


def claim(task: GenerationTask) -> Fence:
    now = timezone.now()
    assert lifecycle.claim(
        task,
        worker_id=make_worker().pk,
        lease=now + timedelta(seconds=15),
        deadline=now + timedelta(seconds=60),
    )
    task.refresh_from_db()
    return task.fence


@pytest.mark.parametrize("source", list(Status))
@pytest.mark.parametrize("to", list(Status))
def test_only_the_listed_moves_happen(source, to):
    task = task_in(source)
    extra = {"lease_expires_at": timezone.now()} if to is Status.RUNNING else {}
    moved = lifecycle.transition(task, to, **extra)
    task.refresh_from_db()
    assert moved == (source in lifecycle.SOURCES[to])
    assert task.status == (to if moved else source)


def test_every_state_that_is_not_final_can_be_left():
    reachable_from = {source for sources in lifecycle.SOURCES.values() for source in sources}
    assert Status.active() <= reachable_from
    assert Status.SUCCEEDED not in reachable_from


def test_a_claim_is_exclusive_and_grows_the_attempt():
    task = make_task()
    first = claim(task)
    assert first.attempt == 1
    now = timezone.now()
    assert not lifecycle.claim(task, worker_id=make_worker().pk, lease=now, deadline=now)
    task.refresh_from_db()
    assert task.fence == first


def test_a_claim_tells_what_it_wrote_without_reading_again():
    task = make_task()
    now = timezone.now()
    assert lifecycle.claim(task, worker_id=make_worker().pk, lease=now, deadline=now)
    stored = GenerationTask.objects.get()
    assert all(getattr(task, field.attname) == getattr(stored, field.attname) for field in task._meta.concrete_fields)


@pytest.mark.parametrize("changed", ["attempt", "charge_round"])
def test_a_task_that_has_lived_on_since_it_was_read_is_not_taken(changed):
    task = make_task()
    GenerationTask.objects.filter(pk=task.pk).update(**{changed: 2})
    now = timezone.now()
    assert not lifecycle.claim(task, worker_id=make_worker().pk, lease=now, deadline=now)
    assert GenerationTask.objects.get().status == Status.QUEUED


def test_a_task_cannot_be_claimed_before_its_time():
    task = make_task()
    GenerationTask.objects.filter(pk=task.pk).update(available_at=timezone.now() + timedelta(minutes=1))
    now = timezone.now()
    assert not lifecycle.claim(task, worker_id=make_worker().pk, lease=now, deadline=now)


def test_a_late_write_of_a_fenced_off_worker_changes_nothing():
    task = make_task()
    stale = claim(task)
    assert lifecycle.transition(task, Status.QUEUED, fence=stale, worker=None)
    fresh = claim(task)
    assert fresh.attempt == stale.attempt + 1
    assert not lifecycle.transition(task, Status.SUCCEEDED, fence=stale)
    assert not lifecycle.extend_lease(stale, lease=timezone.now())
    assert lifecycle.extend_lease(fresh, lease=timezone.now() + timedelta(seconds=15))
    assert lifecycle.transition(task, Status.SUCCEEDED, fence=fresh)


def test_a_lease_renewed_at_the_last_moment_is_not_taken_away():
    task = make_task()
    fence = claim(task)
    seen = dataclasses.replace(fence, lease=task.lease_expires_at)
    assert lifecycle.extend_lease(fence, lease=timezone.now() + timedelta(seconds=30))
    assert not lifecycle.transition(task, Status.QUEUED, fence=seen, worker=None)
    task.refresh_from_db()
    assert lifecycle.transition(task, Status.QUEUED, fence=dataclasses.replace(fence, lease=task.lease_expires_at))


def test_leaving_the_running_state_clears_the_lease():
    task = make_task()
    fence = claim(task)
    assert lifecycle.transition(task, Status.FAILED, fence=fence)
    task.refresh_from_db()
    assert (task.lease_expires_at, task.deadline_at) == (None, None)
    assert task.finished_at is not None


def test_a_change_is_announced_after_the_commit(valkey, django_capture_on_commit_callbacks):
    from cms_ai_images import progress

    task = make_task()
    pubsub = valkey.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe(progress.channel(task.uuid))
    pubsub.get_message(timeout=1)
    with django_capture_on_commit_callbacks(execute=True):
        lifecycle.transition(task, Status.CANCELLED)
    message = next(filter(None, (pubsub.get_message(timeout=1) for _ in range(5))))
    assert message["data"] == b'{"event": "task"}'


class TestLostDevices:
    """A sick machine must not cost an innocent task its attempts, nor may a picture that kills GPUs do so for ever."""

    @staticmethod
    def end(task: GenerationTask, error: GenerationError) -> None:
        GenerationTask.objects.filter(pk=task.pk).update(available_at=timezone.now())
        task.refresh_from_db()
        now = timezone.now()
        until = now + timedelta(minutes=1)
        assert lifecycle.claim(task, worker_id=make_worker().pk, lease=until, deadline=until)
        outcomes.failed(task, task.fence, error)
        task.refresh_from_db()

    def test_cost_no_attempt(self, author, settings):
        settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "MAX_FAILURES": 2, "MAX_DEVICE_LOSSES": 4}
        task = make_task(author)
        for _ in range(3):
            self.end(task, DeviceLost())
        self.end(task, GenerationError())
        assert (task.status, task.failures, task.device_losses) == (Status.QUEUED, 1, 3)
        assert task.available_at > timezone.now() + timedelta(seconds=50)  # the pauses grow with both

    def test_end_at_last(self, author, settings):
        settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "MAX_DEVICE_LOSSES": 3}
        task = make_task(author)
        for _ in range(3):
            self.end(task, DeviceLost())
        assert (task.status, task.error_code, task.failures) == (Status.FAILED, "device_lost", 0)
