"""What a dead process left behind is set right, by anybody, any number of times."""

from __future__ import annotations

import signal
import subprocess
import time
import uuid
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rq.rate_limit import RateLimitRegistry

from cms_ai_images import conf, outcomes, progress, queue, reconciler, services
from cms_ai_images.acceptances import Acceptances
from cms_ai_images.connections import get_redis
from cms_ai_images.library import drafts, intake
from cms_ai_images.models import GeneratedImage, GenerationTask, Worker
from cms_ai_images.rounds import Rounds
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


def test_a_lease_that_lasted_beyond_the_deadline_was_lost_by_a_call_that_hangs(author):
    task = make_task(author)
    claim(task)
    expire_leases()
    GenerationTask.objects.update(started_at=timezone.now() - 2 * LONG_AGO, deadline_at=timezone.now() - LONG_AGO * 1.1)
    assert reconciler.end_lost_leases() == 1
    task.refresh_from_db()
    assert (task.status, task.failures, task.error_code) == (Status.QUEUED, 1, "deadline_exceeded")
    assert task.error_params == {"seconds": 540}


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


def queued(count: int, author=None, **fields) -> list[GenerationTask]:
    """Rows of tasks that have waited for long, one second after the other, without jobs."""
    first = make_task(author, created_at=timezone.now() - LONG_AGO, available_at=timezone.now() - LONG_AGO, **fields)
    values = {field.attname: getattr(first, field.attname) for field in first._meta.concrete_fields}
    others = [
        GenerationTask(
            **{**values, "id": None, "uuid": uuid.uuid4(), "available_at": first.available_at + timedelta(seconds=i)}
        )
        for i in range(1, count)
    ]
    return [first, *GenerationTask.objects.bulk_create(others)]


def job_ids(priority: Priority = Priority.NORMAL) -> list[str]:
    return queue.get_queue("images", priority).get_job_ids()


class TestRounds:
    """All waiting tasks are looked after, however many, and a pass costs the same."""

    @pytest.fixture(autouse=True)
    def small_window(self, monkeypatch):
        monkeypatch.setattr("cms_ai_images.rounds.WINDOW", 20)

    def test_every_lost_job_is_found_within_one_round(self, author):
        mine, nobodys = queued(30, author), queued(30)
        urgent = queued(1, priority=Priority.HIGH)
        rounds = Rounds()
        assert [rounds.go_on() for _ in range(4)] == [21, 20, 20, 0]
        assert rounds.is_over
        assert job_ids(Priority.HIGH) == [queue.job_id(urgent[0])]
        assert len(job_ids()) == 30 + conf.get("USER_CONCURRENCY")
        held = RateLimitRegistry(queue.limit_key(mine[0]), connection=get_redis("images")).get_rate_limited_job_ids()
        assert {*job_ids(), *held} == {queue.job_id(task) for task in mine + nobodys}
        assert [Rounds().go_on(), reconciler.dispatch_forgotten()] == [0, 0]

    def test_a_pass_costs_the_same_however_many_wait(self, author, valkey):
        def cost() -> tuple[int, int]:
            before = valkey.info("stats")["total_commands_processed"]
            with CaptureQueriesContext(connection) as queries:
                assert Rounds().go_on() == 0
            return len(queries), valkey.info("stats")["total_commands_processed"] - before

        queued(30, author)
        assert reconciler.dispatch_forgotten() == 30
        few = cost()
        queued(300, author)
        assert reconciler.dispatch_forgotten() == 300
        assert cost() == few

    def test_a_task_that_cannot_be_dispatched_holds_up_its_window_once(self, author, monkeypatch):
        spoilt, *_, last = queued(25)
        describe = queue.describe
        monkeypatch.setattr(queue, "describe", lambda task: describe(task) if task != spoilt else 1 / 0)
        rounds = Rounds()
        with pytest.raises(ZeroDivisionError):
            rounds.go_on()
        assert rounds.go_on() == 5
        assert queue.job_id(last) in job_ids()

    @pytest.mark.parametrize("lose", ["taken and dropped", "hash gone", "taken out of the middle", "left by the limit"])
    def test_a_job_may_be_lost_in_many_ways(self, author, valkey, lose):
        first, second, third = queued(3, author if lose == "left by the limit" else None)
        assert reconciler.dispatch_forgotten() == 3
        waiting, lost = queue.get_queue("images", Priority.NORMAL), second
        if lose == "taken and dropped":
            lost = first
            assert waiting.pop_job_id() == queue.job_id(first)
        elif lose == "hash gone":
            valkey.delete(f"rq:job:{queue.job_id(second)}")
        elif lose == "taken out of the middle":
            valkey.lrem(waiting.key, 0, queue.job_id(second))
            assert reconciler.dispatch_forgotten() == 0  # its turn may still come
            assert [waiting.pop_job_id() for _ in range(2)] == [queue.job_id(first), queue.job_id(third)]
            GenerationTask.objects.exclude(pk=second.pk).delete()
        else:
            lost = third
            valkey.zrem(
                RateLimitRegistry(queue.limit_key(third), connection=valkey).rate_limited_key, f"{third.uuid}-1"
            )
        assert reconciler.dispatch_forgotten() == 1
        assert reconciler.dispatch_forgotten() == 0
        known = [*job_ids(), *RateLimitRegistry(queue.limit_key(lost), connection=valkey).get_rate_limited_job_ids()]
        assert queue.job_id(lost) in known

    def test_clocks_that_differ_double_no_job(self, valkey):
        first, *others = queued(5)
        assert reconciler.dispatch_forgotten() == 5
        ahead = timezone.now() + LONG_AGO
        valkey.hset(f"rq:job:{queue.job_id(first)}", "enqueued_at", ahead.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        assert reconciler.dispatch_forgotten() == 0
        assert len(job_ids()) == 1 + len(others)


class TestHandedBack:
    def test_is_dispatched_at_once_however_many_wait(self, author):
        task = make_task(author)
        claim(task)
        assert outcomes.handed_back(task, task.fence) == Status.QUEUED
        assert job_ids() == [f"{task.uuid}-2"]

    def test_waits_for_the_rounds_while_redis_is_away(self, author, valkey_server):
        task = make_task(author, created_at=timezone.now() - LONG_AGO)
        claim(task)
        valkey_server.stop()
        try:
            assert outcomes.handed_back(task, task.fence) == Status.QUEUED
        finally:
            valkey_server.start()
        assert reconciler.dispatch_forgotten() == 1
        assert job_ids() == [f"{task.uuid}-2"]

    def test_does_not_ring_for_what_somebody_else_has(self, author):
        task = make_task(author)
        claim(task)
        GenerationTask.objects.update(attempt=5)
        assert outcomes.handed_back(task, task.fence) is None
        assert job_ids() == []


class TestSteps:
    def test_one_that_goes_wrong_does_not_keep_the_others(self, author, monkeypatch, caplog):
        make_image(task=make_task(author, status=Status.SUCCEEDED, auto_accept=True))
        GeneratedImage.objects.update(created_at=timezone.now() - LONG_AGO)
        queued(1)
        monkeypatch.setattr(outcomes, "failed", lambda *args: 1 / 0)
        monkeypatch.setattr("cms_ai_images.rounds.Rounds.go_on", lambda self: 1 / 0)
        claim(make_task(author))
        expire_leases()
        report = reconciler.run()
        assert report == reconciler.Report(accepted=1, failed=("dispatched",))
        assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError] * 2
        with pytest.raises(CommandError, match="dispatched"):
            call_command("ai_images_reconcile")

    def test_one_lease_that_cannot_be_ended_does_not_keep_the_others(self, author, monkeypatch):
        spoilt, fine = make_task(author), make_task(author)
        claim(spoilt)
        claim(fine)
        expire_leases()
        failed = outcomes.failed
        monkeypatch.setattr(outcomes, "failed", lambda task, *args: failed(task, *args) if task == fine else 1 / 0)
        assert reconciler.end_lost_leases() == 1
        fine.refresh_from_db()
        assert fine.status == Status.QUEUED


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


class TestAcceptances:
    """Some that can never be accepted, as their bytes are gone, are older than one that can."""

    @pytest.fixture
    def lost_and_fine(self, author, monkeypatch):
        monkeypatch.setattr("cms_ai_images.acceptances.WINDOW", 3)
        task = make_task(author, status=Status.SUCCEEDED, auto_accept=True, num_images=4)
        images = [make_image(task=task, index=index) for index in range(6)]
        for age, image in enumerate(reversed(images)):
            GeneratedImage.objects.filter(pk=image.pk).update(created_at=timezone.now() - LONG_AGO * (1 + age))
        *lost, fine = images
        for image in lost:
            drafts.delete(str(image.file.name))
        return lost, fine

    def test_keep_no_other_waiting_and_fill_no_log(self, lost_and_fine, caplog, monkeypatch):
        lost, fine = lost_and_fine
        tried, accept = [], intake.accept
        monkeypatch.setattr(intake, "accept", lambda image, details: (tried.append(image), accept(image, details)))
        monkeypatch.setattr("cms_ai_images.acceptances.PAUSES", (600.0,))  # however long this takes
        acceptances = Acceptances()
        assert [acceptances.go_on() for _ in range(20)] == [0, 1] + [0] * 18
        assert tried == [*lost, fine]  # each once: they rest
        assert [record.args[0] for record in caplog.records] == [3, 2]

    def test_are_tried_again_after_a_pause(self, lost_and_fine, monkeypatch):
        lost, _fine = lost_and_fine
        monkeypatch.setattr("cms_ai_images.acceptances.PAUSES", (0.0,))
        acceptances = Acceptances()
        assert [acceptances.go_on() for _ in range(2)] == [0, 1]
        drafts.write(str(lost[0].file.name), b"found again")
        GeneratedImage.objects.exclude(pk=lost[0].pk).delete()
        assert [acceptances.go_on() for _ in range(3)] == [0, 1, 0]

    def test_one_with_an_unexpected_error_keeps_no_other_waiting(self, lost_and_fine, monkeypatch, caplog):
        *_, fine = lost_and_fine
        accept = intake.accept
        monkeypatch.setattr(intake, "accept", lambda image, details: accept(image, details) if image == fine else 1 / 0)
        assert reconciler.accept_forgotten() == 1
        assert caplog.records[0].exc_info[0] is ZeroDivisionError

    @pytest.mark.usefixtures("lost_and_fine")
    def test_a_storage_that_hangs_does_not_hold_up_the_other_steps(self, monkeypatch):
        monkeypatch.setattr("cms_ai_images.acceptances.PASS_SECONDS", -1.0)
        acceptances = Acceptances()
        assert [acceptances.go_on() for _ in range(6)] == [0, 0, 0, 0, 0, 1]
        assert not acceptances.is_over
        assert acceptances.go_on() == 0
        assert acceptances.is_over


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
