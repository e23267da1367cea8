"""What a worker holds: the lease of one task, its deadline, and how it learns that it holds it no longer."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from cms_ai_images import conf, lifecycle
from cms_ai_images.exceptions import DeadlineExceeded, LeaseLost
from cms_ai_images.models import GenerationTask
from cms_ai_images.worker.hold import Hold

from .factories import make_task, make_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fence(author):
    task = make_task(author)
    now = timezone.now()
    lifecycle.claim(task, worker_id=make_worker().pk, lease=now, deadline=now + timedelta(hours=1))
    task.refresh_from_db()
    return task.fence


def test_a_beat_extends_the_lease(fence):
    hold = Hold(uuid4(), fence, timezone.now() + timedelta(minutes=1), 300)
    hold.beat()
    hold.check()
    lease = GenerationTask.objects.get().lease_expires_at
    assert lease > timezone.now() + timedelta(seconds=conf.get("LEASE_SECONDS") - 2)


def test_a_beat_after_the_deadline_extends_nothing(fence):
    before = GenerationTask.objects.get().lease_expires_at
    hold = Hold(uuid4(), fence, timezone.now() - timedelta(seconds=1), 300)
    hold.beat()
    assert GenerationTask.objects.get().lease_expires_at == before
    with pytest.raises(DeadlineExceeded):
        hold.check()


def test_a_beat_notices_that_the_task_was_taken_over(fence):
    hold = Hold(uuid4(), fence, timezone.now() + timedelta(minutes=1), 300)
    GenerationTask.objects.update(attempt=9)
    hold.beat()
    with pytest.raises(LeaseLost):
        hold.check()


def test_a_silent_database_ends_the_hold(fence, settings):
    settings.CMS_AI_IMAGES = {"LEASE_SECONDS": 0.05}
    hold = Hold(uuid4(), fence, timezone.now() + timedelta(minutes=1), 300)
    time.sleep(0.1)
    with pytest.raises(LeaseLost):
        hold.check()
