"""Tasks drawn together: who is in, and that each keeps a life of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Sequence
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from rq.registry import FailedJobRegistry

from cms_ai_images import queue, services
from cms_ai_images.backends.dummy import DummyBackend
from cms_ai_images.exceptions import UnknownBackend
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import (
    GeneratedPicture,
    GenerationParameters,
    Priority,
    Status,
    StepCallback,
)
from cms_ai_images.worker.attempt import carry_out
from cms_ai_images.worker.claiming import WINDOW, claim
from cms_ai_images.worker.rq_worker import serve

from .asking import ask
from .factories import make_model, make_task, make_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def model():
    make_worker()
    return make_model(options={"max_batch": 4})


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


def sha_of(task: GenerationTask) -> list[str]:
    return list(task.images.order_by("index").values_list("sha256", flat=True))


class TestCompanions:
    def test_compatible_tasks_are_claimed_together_up_to_the_limit(self, author, model, runtime):
        tasks = [make_task(author, model) for _ in range(6)]
        claimed = claim(runtime, str(tasks[0].uuid))
        assert [task.pk for task in claimed] == [task.pk for task in tasks[:4]]
        assert GenerationTask.objects.filter(status=Status.QUEUED).count() == 2

    def test_tasks_of_the_same_moment_are_taken_in_the_order_that_their_authors_were_told(self, author, model, runtime):
        tasks = [make_task(author, model, available_at=timezone.now()) for _ in range(4)]
        GenerationTask.objects.update(available_at=tasks[0].available_at)
        told = sorted(GenerationTask.objects.all(), key=queue.position)
        assert claim(runtime, str(told[0].uuid)) == told == tasks

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
