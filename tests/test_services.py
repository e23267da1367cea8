"""What people can do, seen from the one write path."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.utils import timezone

from cms_ai_images import outcomes, queue, reconciler, services
from cms_ai_images.exceptions import (
    AlreadyAccepted,
    DraftGone,
    ModelNotAvailable,
    NotFound,
    NotLoggedIn,
    NotPermitted,
    NoWorker,
    PromptEmpty,
    StateConflict,
)
from cms_ai_images.models import CreditAccount, GeneratedImage, GenerationModel, GenerationTask, Worker
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import PictureDetails, Priority, ReviewState, Status
from cms_ai_images.worker.rq_worker import serve

from .asking import ask
from .factories import make_image, make_model, make_worker
from .test_lifecycle import claim
from .threads import at_once


def jobs(priority: int = Priority.NORMAL) -> list[str]:
    return queue.get_queue("images", priority).get_job_ids()


@pytest.fixture
def model(db):
    make_worker()
    return make_model()


@pytest.mark.django_db(transaction=True)
class TestRequest:
    def test_stores_a_queued_task_and_one_job(self, author, model):
        task = ask(author, seed=7, num_images=2)
        task.refresh_from_db()
        assert task.status == Status.QUEUED
        assert task.parameters["seed"] == 7
        assert task.request["prompt"] == "a red apple"
        assert jobs() == [queue.job_id(task)]

    def test_the_job_says_in_rqs_pages_what_it_is(self, author, model):
        ask(author)
        job = queue.get_queue("images", Priority.NORMAL).jobs[0]
        assert "a red apple" in job.description
        assert job.func_name == queue.JOB

    def test_a_higher_limit_for_authors_holds_for_what_waits_too(self, author, model, settings):
        for seed in range(5):
            ask(author, seed=seed)
        assert len(jobs()) == 2
        settings.CMS_AI_IMAGES = {"USER_CONCURRENCY": 5}
        ask(author, seed=9)
        assert len(jobs()) == 5

    def test_costs_a_bounded_number_of_queries(self, author, model, django_assert_max_num_queries):
        ask(author)
        with django_assert_max_num_queries(12):
            ask(author)

    def test_anonymous_and_unpermitted_users_store_nothing(self, reader, model):
        with pytest.raises(NotLoggedIn):
            ask(AnonymousUser())
        with pytest.raises(NotPermitted):
            ask(reader)
        assert not GenerationTask.objects.exists()

    def test_a_bad_request_stores_nothing(self, author, model):
        with pytest.raises(PromptEmpty):
            ask(author, prompt="  ")
        assert not GenerationTask.objects.exists()

    def test_no_worker_is_said_before_anything_is_queued(self, author, model):
        Worker.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
        with pytest.raises(NoWorker):
            ask(author)
        assert not GenerationTask.objects.exists()

    def test_a_site_may_queue_without_a_worker(self, author, model, settings):
        settings.CMS_AI_IMAGES = {"QUEUE_WITHOUT_WORKER": True}
        Worker.objects.all().delete()
        assert ask(author).status == Status.QUEUED

    def test_is_stored_while_redis_is_away_and_dispatched_when_it_is_back(self, author, model, valkey_server):
        valkey_server.stop()
        try:
            task = ask(author)
            assert reconciler.dispatch_forgotten() == 0
        finally:
            valkey_server.start()
        assert task.status == Status.QUEUED
        GenerationTask.objects.update(created_at=timezone.now() - timedelta(minutes=1))
        assert reconciler.dispatch_forgotten() == 1
        assert jobs() == [queue.job_id(task)]
        assert reconciler.dispatch_forgotten() == 0

    def test_high_priority_has_a_queue_of_its_own(self, admin, model):
        ask(admin, priority="high")
        assert len(jobs(Priority.HIGH)) == 1
        assert jobs() == []

    def test_position_counts_what_comes_before(self, admin, model):
        first, second, urgent = ask(admin), ask(admin), ask(admin, priority="high")
        assert [queue.position(task) for task in (urgent, first, second)] == [1, 2, 3]

    def test_of_two_from_the_same_moment_the_one_that_was_stored_first_comes_first(self, admin, model):
        tasks = [ask(admin) for _ in range(3)]
        GenerationTask.objects.update(available_at=tasks[1].available_at)
        assert [queue.position(GenerationTask.objects.get(pk=task.pk)) for task in tasks] == [1, 2, 3]

    def test_position_is_counted_to_a_limit(self, admin, model, monkeypatch):
        monkeypatch.setattr(queue, "COUNTED", 2)
        tasks = [ask(admin) for _ in range(4)]
        assert [queue.position(task) for task in tasks] == [1, 2, 3, 3]

    def test_a_task_that_was_started_again_waits_at_the_end(self, admin, model):
        first, second = ask(admin), ask(admin)
        services.cancel(admin, first)
        services.retry(admin, first)
        assert [queue.position(task) for task in (second, first)] == [1, 2]


@pytest.mark.django_db(transaction=True)
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
        at_once([lambda: ask(author, seed=5)] * 8)
        assert GenerationTask.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestCancelAndRetry:
    def test_a_queued_task_is_cancelled_at_once(self, author, model):
        task = services.cancel(author, ask(author))
        assert task.status == Status.CANCELLED
        assert services.cancel(author, task).status == Status.CANCELLED

    def test_a_running_task_is_asked_to_stop(self, author, model, valkey):
        task = ask(author)
        claim(task)
        services.cancel(author, task)
        assert task.status == Status.RUNNING
        assert task.cancel_requested_at is not None
        assert valkey.get(f"ai-images:cancel:{task.uuid}") == b"1"

    def test_a_task_that_goes_back_to_the_queue_in_this_moment_is_cancelled(self, author, model):
        """The wish met a task that waited no more, then one that ran no more: it was drawn, and paid for."""
        task = ask(author)
        claim(task)
        steps = iter(range(10))

        def hand_back_after_the_first(execute, sql, params, many, context):
            result = execute(sql, params, many, context)
            if sql.startswith("UPDATE") and next(steps) == 0:
                assert outcomes.handed_back(task, task.fence) == Status.QUEUED
            return result

        with connection.execute_wrapper(hand_back_after_the_first):
            services.cancel(author, GenerationTask.objects.get())
        assert GenerationTask.objects.get().status == Status.CANCELLED

    def test_cancelling_refunds_the_round_that_was_charged(self, author, model, settings):
        """Another tab had it fail, and repeated it: the page that cancels it has not seen that."""
        settings.CMS_AI_IMAGES = {"CREDITS": True}
        GenerationModel.objects.update(prices={"text_to_image": {"standard": 3}})
        account = CreditAccount.objects.create(user=author, balance=10)
        old = ask(author)
        outcomes.cancelled(old)
        seen_before = GenerationTask.objects.get()
        services.retry(author, GenerationTask.objects.get())
        services.cancel(author, seen_before)
        account.refresh_from_db()
        assert (GenerationTask.objects.get().status, account.balance) == (Status.CANCELLED, 10)

    def test_what_is_over_cannot_be_cancelled(self, author, model):
        task = ask(author)
        GenerationTask.objects.update(status=Status.SUCCEEDED)
        with pytest.raises(StateConflict):
            services.cancel(author, task)

    @pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
    def test_failed_and_cancelled_tasks_can_be_retried(self, author, model, valkey, status):
        task = ask(author, seed=3)
        GenerationTask.objects.update(
            status=status, failures=3, device_losses=2, error_code="x", error_message="y", attempt=3
        )
        task.refresh_from_db()
        valkey.flushall()
        services.retry(author, task)
        assert (task.status, task.failures, task.error_code, task.charge_round) == (Status.QUEUED, 0, "", 2)
        assert task.device_losses == 0
        assert task.parameters["seed"] == 3
        assert jobs() == [f"{task.uuid}-4"]

    def test_a_retry_of_what_failed_again_meanwhile_is_refused(self, author, model, settings):
        settings.CMS_AI_IMAGES = {"CREDITS": True}
        GenerationModel.objects.update(prices={"text_to_image": {"standard": 3}})
        account = CreditAccount.objects.create(user=author, balance=10)
        stale = ask(author)
        GenerationTask.objects.update(status=Status.FAILED)
        stale.refresh_from_db()
        services.retry(author, GenerationTask.objects.get())
        GenerationTask.objects.update(status=Status.FAILED)
        with pytest.raises(StateConflict):
            services.retry(author, stale)
        task = GenerationTask.objects.get()
        assert (task.status, task.charge_round) == (Status.FAILED, 2)
        account.refresh_from_db()
        assert account.balance == 10 - 2 * 3

    @pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.SUCCEEDED])
    def test_nothing_else_can_be_retried(self, author, model, status):
        task = ask(author)
        if status is Status.RUNNING:
            claim(task)
        else:
            GenerationTask.objects.update(status=status)
            task.refresh_from_db()
        with pytest.raises(StateConflict):
            services.retry(author, task)

    def test_a_retry_needs_the_model(self, author, model):
        task = ask(author)
        GenerationTask.objects.update(status=Status.FAILED)
        model.enabled = False
        model.save()
        task = GenerationTask.objects.get()
        with pytest.raises(ModelNotAvailable):
            services.retry(author, task)

    def test_tasks_of_others_do_not_exist(self, author, other_author, model):
        task = ask(author)
        for action in (services.cancel, services.retry):
            with pytest.raises(NotFound):
                action(other_author, task)

    def test_operators_may_cancel_for_others(self, author, admin, model):
        assert services.cancel(admin, ask(author)).status == Status.CANCELLED


@pytest.mark.django_db(transaction=True)
class TestReview:
    def test_others_can_neither_accept_nor_discard(self, author, other_author):
        image = make_image(user=author)
        with pytest.raises(NotFound):
            services.accept(other_author, image, PictureDetails())
        with pytest.raises(NotFound):
            services.discard(other_author, image)

    def test_discarding_removes_the_bytes_and_keeps_the_row(self, author):
        image = make_image(user=author)
        key = image.file.name
        assert draft_storage().exists(key)
        services.discard(author, image)
        assert image.review_state == ReviewState.DISCARDED
        assert not draft_storage().exists(key)
        assert services.discard(author, image).review_state == ReviewState.DISCARDED
        with pytest.raises(DraftGone):
            services.accept(author, GeneratedImage.objects.get(pk=image.pk), PictureDetails())

    def test_an_accepted_picture_is_not_discarded(self, author):
        image = make_image(user=author)
        services.accept(author, image, PictureDetails(alt_text="An apple"))
        with pytest.raises(AlreadyAccepted):
            services.discard(author, GeneratedImage.objects.get(pk=image.pk))
