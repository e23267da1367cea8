"""Tasks drawn together: who is in, and that each keeps a life of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.utils import timezone
from rq.registry import FailedJobRegistry

from cms_ai_images import lifecycle, outcomes, queue, services
from cms_ai_images.backends.dummy import DummyBackend
from cms_ai_images.exceptions import DeviceLost, GenerationError, StorageUnavailable, UnknownBackend
from cms_ai_images.models import GeneratedImage, GenerationTask
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import (
    GeneratedPicture,
    GenerationParameters,
    GenerationRequest,
    Priority,
    Status,
    StepCallback,
)
from cms_ai_images.worker import landing
from cms_ai_images.worker.attempt import carry_out
from cms_ai_images.worker.claiming import WINDOW, claim
from cms_ai_images.worker.rq_worker import serve
from cms_ai_images.worker.runtime import Runtime

from .factories import make_model, make_task, make_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def model():
    make_worker()
    return make_model(options={"max_batch": 4})


@pytest.fixture
def runtime():
    runtime = Runtime("images")
    runtime.start()
    yield runtime
    runtime.stop()


class ChoosyBackend(DummyBackend):
    """Draws prompts together that begin with the same word, once it is loaded."""

    is_loaded = False

    def load(self) -> None:
        self.is_loaded = True

    def batch_key(self, parameters: GenerationParameters) -> Hashable:
        return parameters.prompt.split()[0] if self.is_loaded else parameters


class ClumsyBackend(DummyBackend):
    """Lets an error through that is none of ours."""

    def generate(self, requests: Sequence[GenerationParameters], on_step: StepCallback) -> list[list[GeneratedPicture]]:
        if any("poison" in each.prompt for each in requests):
            raise ValueError("poison")
        return super().generate(requests, on_step)


@pytest.fixture(autouse=True)
def choosy(settings):
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "BACKENDS": {"choosy": "tests.test_batches.ChoosyBackend"}}


def ask(user, prompt: str = "an apple", **fields) -> GenerationTask:
    return services.request_generation(user, GenerationRequest(prompt=prompt, **fields))


def sha_of(task: GenerationTask) -> list[str]:
    return list(task.images.order_by("index").values_list("sha256", flat=True))


class TestCompanions:
    def test_compatible_tasks_are_claimed_together_up_to_the_limit(self, author, model, runtime):
        tasks = [make_task(author, model) for _ in range(6)]
        claimed = claim(runtime, str(tasks[0].uuid))
        assert [task.pk for task in claimed] == [task.pk for task in tasks[:4]]
        assert GenerationTask.objects.filter(status=Status.QUEUED).count() == 2

    def test_the_limit_counts_pictures(self, author, model, runtime):
        first, _large, small = (make_task(author, model, num_images=count) for count in (2, 3, 2))
        assert claim(runtime, str(first.uuid)) == [first, small]

    def test_nothing_else_is_drawn_along(self, author, model, runtime):
        first = make_task(author, model)
        make_task(author, model, width=96)
        make_task(author, model, steps=9)
        make_task(author, make_model("other", options={"max_batch": 4}))
        make_task(author, model, available_at=timezone.now() + timedelta(minutes=1))
        make_task(author, model, status=Status.FAILED)
        assert claim(runtime, str(first.uuid)) == [first]

    def test_a_model_draws_one_task_at_a_time_unless_it_says_otherwise(self, author, runtime):
        model = make_model()
        tasks = [make_task(author, model) for _ in range(2)]
        assert claim(runtime, str(tasks[0].uuid)) == tasks[:1]

    def test_the_limit_may_differ_by_size(self, author, runtime):
        model = make_model(options={"max_batch": {"96x64": 2, "default": 3}})
        square = [make_task(author, model) for _ in range(4)]
        wide = [make_task(author, model, width=96) for _ in range(4)]
        assert len(claim(runtime, str(square[0].uuid))) == 3
        assert len(claim(runtime, str(wide[0].uuid))) == 2

    def test_a_limit_that_makes_no_sense_is_told_by_loading_not_by_the_claim(self, author, runtime):
        model = make_model(options={"max_batch": "many"})
        assert len(claim(runtime, str(make_task(author, model).uuid))) == 1
        task = make_task(author, make_model("unknown", backend="gone"))
        with pytest.raises(UnknownBackend):
            carry_out(runtime, claim(runtime, str(task.uuid)))
        task.refresh_from_db()
        assert (task.status, task.error_code) == (Status.FAILED, "unknown_backend")

    def test_the_backend_has_a_say(self, author, runtime):
        """Diffusers decides by the loaded model which texts go together; until then every task is drawn alone."""
        choosy = make_model("choosy", backend="choosy", options={"max_batch": 4})
        red, blue, other_red = (make_task(author, choosy, prompt=words) for words in ("red a", "blue", "red b"))
        assert claim(runtime, str(red.uuid)) == [red]
        GenerationTask.objects.filter(pk=red.pk).update(status=Status.QUEUED, worker=None, lease_expires_at=None)
        runtime.residents.get(choosy)
        assert claim(runtime, str(red.uuid)) == [red, other_red]
        blue.refresh_from_db()
        assert blue.status == Status.QUEUED

    def test_a_backend_that_cannot_tell_costs_the_company_not_the_task(self, author, runtime, settings):
        choosy = make_model("choosy", backend="choosy", options={"max_batch": 4})
        first, other = (make_task(author, choosy, prompt=words) for words in ("red", ""))
        runtime.residents.get(choosy)
        assert claim(runtime, str(first.uuid)) == [first]
        other.refresh_from_db()
        assert other.status == Status.QUEUED

    def test_a_task_that_lost_its_gpu_is_drawn_alone(self, author, model, runtime):
        suspect, good, fine = (
            make_task(author, model, device_losses=1),
            make_task(author, model),
            make_task(author, model),
        )
        assert claim(runtime, str(good.uuid)) == [good, fine]
        GenerationTask.objects.filter(pk=good.pk).update(status=Status.QUEUED, worker=None, lease_expires_at=None)
        assert claim(runtime, str(suspect.uuid)) == [suspect]

    def test_authors_take_turns_in_a_batch(self, author, other_author, model, runtime):
        mine = [make_task(author, model) for _ in range(5)]
        theirs = make_task(other_author, model)
        assert theirs in claim(runtime, str(mine[0].uuid))

    def test_a_claim_costs_the_same_however_many_wait(self, author, model, runtime, django_assert_num_queries):
        def queries() -> int:
            from django.test.utils import CaptureQueriesContext

            first = GenerationTask.objects.filter(status=Status.QUEUED).earliest("pk")
            with CaptureQueriesContext(connection) as context:
                assert len(claim(runtime, str(first.uuid))) == 4
            return len(context)

        for _ in range(8):
            make_task(author, model)
        few = queries()
        for _ in range(2 * WINDOW):
            make_task(author, model)
        assert queries() == few


class TestDrawing:
    def test_a_batch_draws_what_each_would_draw_alone(self, author, model):
        alone = ask(author, "a fox", seed=5, num_images=2)
        serve("images", burst=True)
        again = make_task(author, model, prompt="a fox", seed=5, num_images=2)
        other = ask(author, "a pear", seed=9)
        serve("images", burst=True)
        again.refresh_from_db()
        other.refresh_from_db()
        assert again.started_at == other.started_at or abs(again.started_at - other.started_at) < timedelta(seconds=1)
        assert sha_of(again) == sha_of(alone)
        assert len(sha_of(other)) == 1

    def test_a_batch_takes_the_time_of_one(self, author, model, runtime):
        model.options = {"max_batch": 4, "step_seconds": 0.1}
        model.save()
        tasks = [make_task(author, model, steps=5) for _ in range(4)]
        begun = time.monotonic()
        carry_out(runtime, claim(runtime, str(tasks[0].uuid)))
        assert time.monotonic() - begun < 4 * 5 * 0.1
        runtime.lander.stop()
        assert GenerationTask.objects.filter(status=Status.SUCCEEDED).count() == 4

    def test_one_that_fails_fails_alone(self, author, model, runtime, settings):
        settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "MAX_FAILURES": 1}
        model.options = {"max_batch": 4, "fail_prompt": "poison"}
        model.save()
        good = [make_task(author, model) for _ in range(3)]
        bad = make_task(author, model, prompt="a poisoned apple")
        carry_out(runtime, claim(runtime, str(good[0].uuid)))
        runtime.lander.stop()
        bad.refresh_from_db()
        assert bad.status == Status.FAILED
        assert GenerationTask.objects.filter(status=Status.SUCCEEDED).count() == 3

    def test_one_that_fails_with_an_error_of_a_library_fails_alone_too(self, author, model, runtime, settings):
        settings.CMS_AI_IMAGES = {
            **settings.CMS_AI_IMAGES,
            "MAX_FAILURES": 1,
            "BACKENDS": {"dummy": f"{__name__}.ClumsyBackend"},
        }
        good = [make_task(author, model) for _ in range(3)]
        bad = make_task(author, model, prompt="a poisoned apple")
        carry_out(runtime, claim(runtime, str(good[0].uuid)))
        runtime.lander.stop()
        bad.refresh_from_db()
        assert (bad.status, bad.error_code) == (Status.FAILED, "generation_failed")
        assert GenerationTask.objects.filter(status=Status.SUCCEEDED).count() == 3

    def test_a_companion_that_failed_for_good_is_not_repeated_by_its_own_bell(self, author, model, settings):
        settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "MAX_FAILURES": 1, "USER_CONCURRENCY": 5}
        model.options = {"max_batch": 4, "fail_prompt": "poison"}
        model.save()
        ask(author, "a pear")
        bad = ask(author, "a poisoned apple")
        serve("images", burst=True)
        bad.refresh_from_db()
        assert (bad.status, bad.attempt, bad.charge_round) == (Status.FAILED, 1, 1)
        failed = FailedJobRegistry(queue=queue.get_queue("images", Priority.NORMAL))
        assert failed.get_job_ids() == [f"{bad.uuid}-1"]
        model.options = {"max_batch": 4}
        model.save()
        failed.requeue(f"{bad.uuid}-1")
        serve("images", burst=True)
        bad.refresh_from_db()
        assert (bad.status, bad.attempt, bad.charge_round) == (Status.SUCCEEDED, 2, 2)

    def test_a_batch_that_runs_out_of_memory_is_halved(self, author, model, runtime):
        model.options = {"max_batch": 4, "memory": 2}
        model.save()
        tasks = [make_task(author, model) for _ in range(4)]
        carry_out(runtime, claim(runtime, str(tasks[0].uuid)))
        runtime.lander.stop()
        assert GenerationTask.objects.filter(status=Status.SUCCEEDED, failures=0).count() == 4

    def test_what_did_not_fit_into_memory_is_not_claimed_again_at_that_size(self, author, model, runtime):
        model.options = {"max_batch": 8, "memory": 2}
        model.save()
        tasks = [make_task(author, model) for _ in range(12)]
        carry_out(runtime, claim(runtime, str(tasks[0].uuid)))
        assert claim(runtime, str(tasks[8].uuid)) == tasks[8:10]
        wide = [make_task(author, model, width=96) for _ in range(4)]
        assert claim(runtime, str(wide[0].uuid)) == wide

    def test_each_call_of_a_halved_batch_has_all_of_its_time(self, author, model, runtime):
        model.options = {"max_batch": 4, "memory": 1, "step_seconds": 0.1}
        model.save()
        tasks = [make_task(author, model, steps=7, time_limit=1.5) for _ in range(4)]
        carry_out(runtime, claim(runtime, str(tasks[0].uuid)))
        runtime.lander.stop()
        outcomes = GenerationTask.objects.values_list("status", "failures", "error_code")
        assert list(outcomes) == [(Status.SUCCEEDED, 0, "")] * 4

    def test_loading_a_model_loses_none_but_the_one_that_was_taken_over(self, author, model, runtime):
        tasks = [make_task(author, model) for _ in range(3)]
        claimed = claim(runtime, str(tasks[0].uuid))
        GenerationTask.objects.filter(pk=tasks[0].pk).update(attempt=5)
        assert carry_out(runtime, claimed).startswith("lease lost")
        runtime.lander.stop()
        assert GenerationTask.objects.filter(status=Status.SUCCEEDED).count() == 2

    def test_cancelling_one_disturbs_no_other(self, author, model, runtime):
        model.options = {"max_batch": 4, "step_seconds": 0.05}
        model.save()
        tasks = [make_task(author, model, steps=20) for _ in range(3)]

        def cancel() -> None:
            time.sleep(0.2)
            services.cancel(author, GenerationTask.objects.get(pk=tasks[1].pk))
            connection.close()

        thread = threading.Thread(target=cancel)
        thread.start()
        carry_out(runtime, claim(runtime, str(tasks[0].uuid)))
        thread.join()
        runtime.lander.stop()
        for task in tasks:
            task.refresh_from_db()
        assert [task.status for task in tasks] == [Status.SUCCEEDED, Status.CANCELLED, Status.SUCCEEDED]
        assert not tasks[1].images.exists()

    def test_a_worker_that_must_go_hands_its_work_back(self, author, model, runtime):
        model.options = {"max_batch": 4, "step_seconds": 0.05}
        model.save()
        tasks = [make_task(author, model, steps=100) for _ in range(2)]
        threading.Timer(0.3, runtime.heartbeat.hand_back).start()
        carry_out(runtime, claim(runtime, str(tasks[0].uuid)))
        for task in tasks:
            task.refresh_from_db()
            assert (task.status, task.failures) == (Status.QUEUED, 0)

    def test_a_lost_device_hands_the_work_back_and_asks_for_a_new_process(self, author, model, runtime):
        model.options = {"fail": "device_lost"}
        model.save()
        task = make_task(author, model)
        carry_out(runtime, claim(runtime, str(task.uuid)))
        task.refresh_from_db()
        assert (task.status, task.error_code) == (Status.QUEUED, "device_lost")
        assert (task.failures, task.device_losses) == (0, 1)
        assert runtime.must_restart


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
        assert [round(seconds, -2) for seconds in others] == [700] * 3 + [1000] * 4
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


class TestFairness:
    def test_a_hundred_tasks_of_one_author_do_not_hold_up_anothers_first(self, author, other_author):
        make_worker()
        make_model()
        for number in range(100):
            ask(author, f"picture {number}")
        theirs = ask(other_author, "mine, please")
        serve("images", burst=True)
        theirs.refresh_from_db()
        before = GenerationTask.objects.filter(user=author, started_at__lt=theirs.started_at).count()
        assert before <= 3
        assert GenerationTask.objects.filter(status=Status.SUCCEEDED).count() == 101


class TestIdenticalRequests:
    def test_an_explicit_seed_returns_the_existing_pictures(self, author, model):
        first = ask(author, seed=5)
        serve("images", burst=True)
        assert ask(author, seed=5) == first
        assert ask(author, seed=6) != first

    def test_without_a_seed_every_request_is_new(self, author, model):
        assert ask(author) != ask(author)

    def test_only_the_same_authors_pictures_are_reused(self, author, other_author, model):
        assert ask(author, seed=5) != ask(other_author, seed=5)

    def test_what_was_thrown_away_is_drawn_anew(self, author, model):
        first = ask(author, seed=5)
        serve("images", burst=True)
        services.discard(author, first.images.get())
        assert ask(author, seed=5) != first

    def test_two_at_the_same_moment_run_once(self, author, model):
        def request() -> None:
            ask(author, seed=5)
            connection.close()

        threads = [threading.Thread(target=request) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert GenerationTask.objects.count() == 1
