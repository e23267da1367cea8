"""The worker, run in this process with the dummy backend, on a real Valkey and a real database."""

from __future__ import annotations

import io
import threading
import time
from datetime import timedelta

import django_rq
import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from PIL import Image
from redis.client import PubSub
from rq.registry import FailedJobRegistry, FinishedJobRegistry

from cms_ai_images import connections, progress, queue, services
from cms_ai_images.models import CreditAccount, CreditEntry, GeneratedImage, GenerationTask, Worker
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import GenerationRequest, Priority, ReviewState, Status
from cms_ai_images.worker import job
from cms_ai_images.worker.attempt import carry_out
from cms_ai_images.worker.batch import BatchOver, Steps, join
from cms_ai_images.worker.claiming import claim
from cms_ai_images.worker.rq_worker import ImageWorker, serve

from .factories import make_model, make_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def model():
    make_worker()
    return make_model()


def ask(user, **fields) -> GenerationTask:
    return services.request_generation(user, GenerationRequest(**{"prompt": "a red apple", "seed": 7, **fields}))


def work() -> None:
    """Empty the queues as the worker command does."""
    serve("images", burst=True)


def slow_down(model, seconds: float = 0.02) -> None:
    model.options = {"step_seconds": seconds}
    model.save()


def test_draws_and_stores_private_drafts(author, model):
    task = ask(author, num_images=2)
    work()
    task.refresh_from_db()
    assert task.status == Status.SUCCEEDED
    images = list(task.images.all())
    assert [(image.index, image.seed, image.review_state) for image in images] == [(0, 7, "draft"), (1, 8, "draft")]
    for image in images:
        with draft_storage().open(image.file.name) as file, Image.open(file) as picture:
            assert picture.size == (image.width, image.height) == (64, 64)
        assert draft_storage().exists(f"{image.file.name}.preview.webp")
    assert FinishedJobRegistry(queue=queue.get_queue("images", Priority.NORMAL)).get_job_ids() == [f"{task.uuid}-1"]


@pytest.mark.parametrize(("output_format", "magic"), [("png", b"\x89PNG"), ("webp", b"RIFF"), ("jpeg", b"\xff\xd8")])
def test_stores_the_format_that_was_asked_for(author, model, output_format, magic):
    ask(author, output_format=output_format)
    work()
    image = GeneratedImage.objects.get()
    with draft_storage().open(image.file.name) as file:
        assert file.read(4).startswith(magic)


def test_accepts_at_once_where_asked_to(author, model):
    task = ask(author, auto_accept=True)
    work()
    image = GeneratedImage.objects.get(task=task)
    assert image.review_state == ReviewState.ACCEPTED
    assert image.filer_image is not None
    assert image.filer_image.owner == author


def test_high_priority_is_drawn_first(admin, model):
    later, urgent = ask(admin, seed=1), ask(admin, seed=2, priority="high")
    work()
    later.refresh_from_db()
    urgent.refresh_from_db()
    assert urgent.started_at < later.started_at


def test_the_thread_that_listens_ends_as_soon_as_it_is_woken(monkeypatch):
    """RQ wakes it before it tells it to stop, and then waits for it in vain, for a second."""
    ended, unsubscribe = [], PubSub.unsubscribe

    def wake(pubsub: PubSub, *channels: str) -> None:
        listening = [each for each in threading.enumerate() if getattr(each, "pubsub", None) is pubsub]
        unsubscribe(pubsub, *channels)
        for thread in listening:
            thread.join(10)
            ended.append(not thread.is_alive())

    monkeypatch.setattr(PubSub, "unsubscribe", wake)
    work()
    assert ended == [True]


def test_a_doubled_job_finds_nothing_to_do(author, model):
    task = ask(author)
    queue.dispatch(task)
    work()
    task.refresh_from_db()
    assert (task.status, task.attempt) == (Status.SUCCEEDED, 1)
    assert task.images.count() == 1


def test_a_stale_job_of_a_cancelled_task_finds_nothing_to_do(author, model):
    task = ask(author)
    services.cancel(author, task)
    work()
    task.refresh_from_db()
    assert task.status == Status.CANCELLED


def test_a_model_stays_loaded(author, model, runtime):
    for _ in range(2):
        tasks = claim(runtime, str(ask(author, seed=None).uuid))
        assert carry_out(runtime, tasks) == "drawn"
        loaded = runtime.residents.get(model)
        assert runtime.residents.get(model) is loaded
    assert Worker.objects.get(pk=runtime.worker.pk).loaded_models == [model.slug]


def test_a_changed_model_is_loaded_anew(author, model, runtime):
    before = runtime.residents.get(model)
    slow_down(model)
    assert runtime.residents.get(model) is not before


class TestFailure:
    def test_is_repeated_with_pauses_and_then_final(self, author, model, settings):
        settings.CMS_AI_IMAGES = {"RETRY_PAUSES_SECONDS": [30], "MAX_FAILURES": 2}
        model.options = {"fail": "generation_failed"}
        model.save()
        task = ask(author)
        work()
        task.refresh_from_db()
        assert (task.status, task.failures) == (Status.QUEUED, 1)
        assert task.available_at > timezone.now() + timedelta(seconds=20)
        GenerationTask.objects.update(available_at=timezone.now())
        queue.dispatch(task)
        work()
        task.refresh_from_db()
        assert (task.status, task.failures, task.error_code) == (Status.FAILED, 2, "generation_failed")
        assert "try again" in task.error_message
        failed = FailedJobRegistry(queue=queue.get_queue("images", Priority.NORMAL))
        assert failed.get_job_ids() == [f"{task.uuid}-2"]

    def test_is_final_at_once_where_a_repetition_cannot_help(self, author, model):
        model.options = {"fail": "unsafe_weights"}
        model.save()
        task = ask(author)
        work()
        task.refresh_from_db()
        assert (task.status, task.failures, task.error_code) == (Status.FAILED, 1, "unsafe_weights")

    def test_an_unexpected_error_is_a_failure_with_a_sentence(self, author, model, settings):
        settings.CMS_AI_IMAGES = {"MAX_FAILURES": 1}
        model.options = {"fail": "no such code"}  # the dummy backend raises a ValueError
        model.save()
        task = ask(author)
        work()
        task.refresh_from_db()
        assert (task.status, task.error_code) == (Status.FAILED, "generation_failed")

    def test_a_deleted_model_is_a_failure_with_a_sentence(self, author, model):
        task = ask(author)
        model.delete()
        work()
        task.refresh_from_db()
        assert (task.status, task.error_code) == (Status.FAILED, "model_not_available")

    def test_gives_the_points_back_once(self, author, model, settings):
        settings.CMS_AI_IMAGES = {"CREDITS": True}
        account = CreditAccount.objects.create(user=author, balance=100)
        model.prices = {"text_to_image": {"standard": 30}}
        model.options = {"fail": "unsafe_weights"}
        model.save()
        ask(author)
        account.refresh_from_db()
        assert account.balance == 70
        work()
        account.refresh_from_db()
        assert account.balance == 100
        assert sorted(CreditEntry.objects.values_list("kind", "amount")) == [("refund", 30), ("reserve", -30)]

    def test_can_be_started_again_in_rqs_pages(self, author, model):
        model.options = {"fail": "unsafe_weights"}
        model.save()
        task = ask(author)
        work()
        model.options = {}
        model.save()
        failed = FailedJobRegistry(queue=queue.get_queue("images", Priority.NORMAL))
        job = failed.job_class.fetch(f"{task.uuid}-1", connection=failed.connection)
        assert "UnsafeWeights" in job.latest_result().exc_string
        failed.requeue(f"{task.uuid}-1")
        work()
        task.refresh_from_db()
        assert (task.status, task.attempt, task.charge_round) == (Status.SUCCEEDED, 2, 2)

    def test_is_not_repeated_by_a_doubled_job(self, author, model):
        model.options = {"fail": "unsafe_weights"}
        model.save()
        task = ask(author)
        queue.get_queue("images", Priority.NORMAL).push_job_id(queue.job_id(task))
        work()
        task.refresh_from_db()
        assert (task.status, task.attempt) == (Status.FAILED, 1)

    def test_does_not_end_the_worker(self, author, model):
        model.options = {"fail": "unsafe_weights"}
        model.save()
        ask(author)
        good = make_model(slug="good")
        task = ask(author, model=good.slug)
        work()
        task.refresh_from_db()
        assert task.status == Status.SUCCEEDED


def test_previews_and_times_are_told_while_it_is_drawn(author, model, runtime, settings, client):
    settings.CMS_AI_IMAGES = {"PREVIEW_SECONDS": 0}
    slow_down(model, 0.05)
    task = ask(author, steps=20, num_images=2)
    (claimed,) = claim(runtime, str(task.uuid))
    thread = threading.Thread(target=lambda: (carry_out(runtime, [claimed]), connection.close()))
    thread.start()
    client.force_login(author)
    address = reverse("cms_ai_images:task-detail", args=[task.uuid])
    while not (detail := client.get(address).json())["progress"] or detail["progress"]["step"] < 3:
        assert detail["status"] == "running"
    assert detail["eta_seconds"] is not None
    assert len(detail["preview_urls"]) == 2
    for preview_url in detail["preview_urls"]:
        response = client.get(preview_url)
        assert (response.status_code, response["Cache-Control"]) == (200, "no-store")
        assert max(Image.open(io.BytesIO(response.content)).size) <= 128
    assert client.get(reverse("cms_ai_images:task-preview", args=[task.uuid, 9])).status_code == 204
    thread.join()
    runtime.lander.stop()
    detail = client.get(address).json()
    assert (detail["status"], detail["preview_urls"]) == ("succeeded", [])


class TestQuickSteps:
    """Too quick for telling each of them."""

    @pytest.fixture
    def steps(self, author, model, runtime):
        (task,) = claim(runtime, str(ask(author).uuid))
        return Steps(runtime.heartbeat, join(runtime.heartbeat, [task]))

    @pytest.mark.parametrize(("pause", "told"), [(3600, [1, 1, 1, 4]), (0, [1, 2, 3, 4])])
    def test_the_first_and_the_last_are_told_and_now_and_then_others(self, steps, monkeypatch, pause, told):
        monkeypatch.setattr("cms_ai_images.worker.batch.NOTICE_SECONDS", pause)
        uuid = steps.members[0].task.uuid

        def after(step: int) -> int:
            steps(step, 4)
            return progress.read("images", uuid, 1).step

        assert [after(step) for step in range(1, 5)] == told

    def test_a_wish_is_heard_without_telling_anything(self, author, steps, runtime, monkeypatch):
        monkeypatch.setattr("cms_ai_images.worker.batch.NOTICE_SECONDS", 3600)
        rq_queue = django_rq.get_queue(connections.queue_name("images"))
        worker = ImageWorker([rq_queue], connection=rq_queue.connection, runtime=runtime)
        worker.subscribe()
        steps(1, 2000)
        services.cancel(author, steps.members[0].task)
        with pytest.raises(BatchOver):
            for step in range(2, 2000):
                steps(step, 2000)
                time.sleep(0.005)
        worker.unsubscribe()
        assert steps.members[0].ended == "cancelled"

    def test_a_wish_that_nobody_heard_is_read_when_something_is_told(self, author, steps, monkeypatch):
        monkeypatch.setattr("cms_ai_images.worker.batch.NOTICE_SECONDS", 0)
        steps(1, 20)
        services.cancel(author, steps.members[0].task)
        with pytest.raises(BatchOver):
            steps(2, 20)


class TestStopping:
    def test_a_running_task_is_cancelled_within_steps(self, author, model):
        slow_down(model)
        task = ask(author, steps=150)

        def cancel_when_running() -> None:
            for _ in range(200):
                task.refresh_from_db()
                if progress.read("images", task.uuid, 1):
                    break
                time.sleep(0.02)
            services.cancel(author, task)
            connection.close()

        thread = threading.Thread(target=cancel_when_running)
        thread.start()
        work()
        thread.join()
        task.refresh_from_db()
        assert task.status == Status.CANCELLED
        assert not task.images.exists()

    def test_a_running_task_is_cancelled_also_while_redis_hangs(self, author, model, runtime, settings, monkeypatch):
        settings.CMS_AI_IMAGES = {"HEARTBEAT_SECONDS": 0.2}
        slow_down(model, 0.1)
        (task,) = claim(runtime, str(ask(author, steps=150).uuid))
        monkeypatch.setattr(connections, "_rest_ends", {"images": time.monotonic() + 60})
        services.cancel(author, GenerationTask.objects.get(pk=task.pk))
        begun = time.monotonic()
        assert carry_out(runtime, [task]) == "cancelled"
        assert time.monotonic() - begun < 10

    def test_a_task_over_its_deadline_is_stopped(self, author, model, settings):
        settings.CMS_AI_IMAGES = {"LIMITS": {"task_seconds": 0.2}, "MAX_FAILURES": 1}
        slow_down(model, 0.05)
        task = ask(author, steps=100)
        work()
        task.refresh_from_db()
        assert (task.status, task.error_code) == (Status.FAILED, "deadline_exceeded")

    def test_a_worker_that_hands_its_work_back_takes_none(self, author, model, runtime, monkeypatch):
        """What it hands back is dispatched at once, and its main thread may be idle while another one hangs."""
        monkeypatch.setattr("cms_ai_images.worker.job.GOODBYE_SECONDS", 0)
        task = ask(author)
        runtime.heartbeat.hand_back()
        assert job.run(str(task.uuid)) == "nothing to do"
        task.refresh_from_db()
        assert (task.status, task.attempt) == (Status.QUEUED, 0)

    def test_a_late_result_is_refused_and_leaves_no_rows(self, author, model, runtime):
        (task,) = claim(runtime, str(ask(author).uuid))
        GenerationTask.objects.update(attempt=5)  # somebody else took it over
        assert carry_out(runtime, [task]).startswith("lease lost")
        assert not GeneratedImage.objects.exists()
        task.refresh_from_db()
        assert task.status == Status.RUNNING


def test_a_worker_shows_when_it_lives_and_when_it_has_gone(runtime):
    row = Worker.objects.get(pk=runtime.worker.pk)
    assert row.is_alive
    runtime.stop()
    row.refresh_from_db()
    assert not row.is_alive
    assert not Worker.objects.alive().exists()
