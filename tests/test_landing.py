"""After drawing: pictures are stored beside the next drawing, and tried again while something is away."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError
from django.utils import timezone

from cms_ai_images.exceptions import StorageUnavailable
from cms_ai_images.models import GeneratedImage, GenerationTask
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import (
    Status,
)
from cms_ai_images.worker import landing
from cms_ai_images.worker.attempt import carry_out
from cms_ai_images.worker.batch import move_deadline
from cms_ai_images.worker.claiming import claim
from cms_ai_images.worker.runtime import Runtime

from .factories import make_model, make_task, make_worker
from .test_reconciler import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def model():
    make_worker()
    return make_model(options={"max_batch": 4})


def block_folder_of(task: GenerationTask) -> Path:
    """Put a file where the task's draft folder should be, so that every write fails."""
    obstacle = Path(draft_storage().path(str(task.uuid)))
    obstacle.parent.mkdir(parents=True, exist_ok=True)
    obstacle.touch()
    return obstacle


class TestLanding:
    """Storage trouble is real here: a file lies where a folder is needed."""

    def test_goes_on_beside_the_next_drawing(self, author, model, runtime, settings, monkeypatch):
        stored = threading.Event()
        land = landing.land

        def slow_land(*args, **kwargs):
            stored.wait(10)
            land(*args, **kwargs)

        monkeypatch.setattr("cms_ai_images.worker.lander.land", slow_land)
        first, second = make_task(author, model, prompt="one", steps=2), make_task(author, model, prompt="two", steps=3)
        assert carry_out(runtime, claim(runtime, str(first.uuid))) == "drawn"
        assert carry_out(runtime, claim(runtime, str(second.uuid))) == "drawn"
        assert GenerationTask.objects.filter(status=Status.RUNNING).count() == 2
        stored.set()
        runtime.lander.stop()
        assert GenerationTask.objects.filter(status=Status.SUCCEEDED).count() == 2

    def test_each_has_its_own_time_however_many_wait(self, author, model, runtime, settings, monkeypatch):
        settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "LANDING_TIMEOUT_SECONDS": 1}
        land = landing.land
        monkeypatch.setattr(
            "cms_ai_images.worker.lander.land", lambda *args, **kwargs: (time.sleep(0.4), land(*args, **kwargs))
        )
        for number in range(6):
            task = make_task(author, model, prompt=f"picture {number}", steps=2 + number)
            assert carry_out(runtime, claim(runtime, str(task.uuid))) == "drawn"
        runtime.lander.stop()
        assert GenerationTask.objects.filter(status=Status.SUCCEEDED, failures=0).count() == 6

    def test_who_has_time_enough_is_given_no_more(self, author, model, runtime, monkeypatch):
        """Each time is a write for which the GPU would wait."""
        given = []

        def give(member, seconds):
            given.append(seconds)
            move_deadline(member, seconds)

        monkeypatch.setattr("cms_ai_images.worker.batch.move_deadline", give)
        for number, expected in enumerate([1, 0]):  # the first one loads the model
            task = make_task(author, model, prompt=f"picture {number}")
            assert carry_out(runtime, claim(runtime, str(task.uuid))) == "drawn"
            wait_for(lambda: not GenerationTask.objects.filter(status=Status.RUNNING).exists())
            assert len(given) == expected
            given.clear()

    def test_everybody_has_time_before_the_first_is_handed_over(self, author, model, settings, monkeypatch):
        """Handing over waits while the backlog is full: who was not given time yet could lose the lease."""
        settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "LANDING_BACKLOG": 1}
        model.options = {"max_batch": 8, "memory": 4}
        model.save()
        tasks = [make_task(author, model) for _ in range(8)]
        runtime, land, left = Runtime("images"), landing.land, []

        def look_and_land(*args, **kwargs):
            if not left:
                deadlines = GenerationTask.objects.filter(status=Status.RUNNING).values_list("deadline_at", flat=True)
                left.extend(sorted((deadline - timezone.now()).total_seconds() for deadline in deadlines))
            land(*args, **kwargs)

        monkeypatch.setattr("cms_ai_images.worker.lander.land", look_and_land)
        runtime.start()
        try:
            carry_out(runtime, claim(runtime, str(tasks[0].uuid)))
        finally:
            runtime.stop()
        landing_now, *others = left
        assert 100 < landing_now < 120
        assert [round(seconds, -2) for seconds in others] == [600] * 3 + [900] * 4
        assert GenerationTask.objects.filter(status=Status.SUCCEEDED, failures=0).count() == 8

    @pytest.mark.local_files
    def test_is_tried_again_while_the_storage_fails(self, author, model, runtime):
        task = make_task(author, model)
        obstacle = block_folder_of(task)
        threading.Timer(1.0, obstacle.unlink).start()
        carry_out(runtime, claim(runtime, str(task.uuid)))
        runtime.lander.stop()
        task.refresh_from_db()
        assert (task.status, task.attempt) == (Status.SUCCEEDED, 1)

    def test_is_tried_again_after_the_database_went_away(self, author, model, runtime, monkeypatch):
        """A restart took the pictures that waited to be stored, and cost their tasks an attempt."""
        land, troubles = landing.land, [OperationalError("terminating connection"), InterfaceError("closed")]

        def land_after_a_restart(*args, **kwargs):
            if troubles:
                raise troubles.pop()
            land(*args, **kwargs)

        monkeypatch.setattr("cms_ai_images.worker.lander.PAUSES", (0.01, 0.01))
        monkeypatch.setattr("cms_ai_images.worker.lander.land", land_after_a_restart)
        task = make_task(author, model)
        carry_out(runtime, claim(runtime, str(task.uuid)))
        runtime.lander.stop()
        task.refresh_from_db()
        assert (task.status, task.attempt, task.failures) == (Status.SUCCEEDED, 1, 0)

    @pytest.mark.local_files
    def test_a_storage_that_stays_away_repeats_the_task(self, author, model, runtime, monkeypatch):
        monkeypatch.setattr("cms_ai_images.worker.lander.PAUSES", (0.01,))
        task = make_task(author, model)
        block_folder_of(task)
        carry_out(runtime, claim(runtime, str(task.uuid)))
        runtime.lander.stop()
        task.refresh_from_db()
        assert (task.status, task.error_code) == (Status.QUEUED, StorageUnavailable.code)
        assert not GeneratedImage.objects.exists()

    @pytest.mark.local_files
    def test_a_storage_is_not_waited_for_beyond_the_deadline(self, author, model, runtime, settings):
        """A worker that slept between two tries was taken for one that hangs, and ended."""
        settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "LANDING_TIMEOUT_SECONDS": 2, "LEASE_SECONDS": 1}
        task = make_task(author, model)
        block_folder_of(task)
        carry_out(runtime, claim(runtime, str(task.uuid)))
        begun = time.monotonic()
        runtime.lander.stop()
        assert time.monotonic() - begun < 2
        task.refresh_from_db()
        assert (task.status, task.error_code) == (Status.QUEUED, StorageUnavailable.code)

    @pytest.mark.parametrize("trouble", [ValueError("no such format"), IntegrityError("a row is there already")])
    def test_what_nobody_expected_ends_the_attempt_at_once(
        self, author, model, runtime, settings, monkeypatch, trouble
    ):
        settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "MAX_FAILURES": 2}

        def fail(*args):
            raise trouble

        monkeypatch.setattr("cms_ai_images.worker.landing.encode", fail)
        task = make_task(author, model)
        for status in (Status.QUEUED, Status.FAILED):
            GenerationTask.objects.update(available_at=timezone.now())
            carry_out(runtime, claim(runtime, str(task.uuid)))
            until = time.monotonic() + 5
            while runtime.heartbeat.held():
                assert time.monotonic() < until
                time.sleep(0.01)
            task.refresh_from_db()
            assert (task.status, task.error_code) == (status, "picture_not_stored")
        following = make_task(author, model)
        monkeypatch.undo()
        carry_out(runtime, claim(runtime, str(following.uuid)))
        runtime.lander.stop()
        following.refresh_from_db()
        assert following.status == Status.SUCCEEDED
