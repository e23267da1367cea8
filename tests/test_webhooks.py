"""Webhooks: each end of a task is noted with what it tells, and arrives."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cms_ai_images import outcomes, services
from cms_ai_images.exceptions import WorkerLost
from cms_ai_images.models import GenerationTask, WebhookDelivery
from cms_ai_images.types import Status
from cms_ai_images.webhooks import outbox
from cms_ai_images.webhooks.courier import Courier

from .factories import make_delivery, make_endpoint, make_task
from .receiver import Receiver
from .services import child_environment, manage

pytestmark = pytest.mark.django_db


def end(task: GenerationTask, status: Status) -> None:
    """As the worker or the author ends it."""
    if status is Status.SUCCEEDED:
        with transaction.atomic():
            assert outcomes.succeeded(task, task.fence, delivered=2, model_revision="")
    elif status is Status.FAILED:
        task.failures = 99
        assert outcomes.failed(task, task.fence, WorkerLost()) is Status.FAILED
    else:
        assert outcomes.cancelled(task, task.fence)


def told() -> list[tuple[str, str]]:
    """(webhook, event), in the order in which it was noted."""
    return list(WebhookDelivery.objects.order_by("pk").values_list("endpoint__name", "event"))


class TestNoting:
    @pytest.mark.parametrize("status", sorted(Status.final()))
    def test_each_end_of_a_task_is_noted_once(self, receiver: Receiver, author: User, status: Status) -> None:
        endpoint = make_endpoint(receiver)
        task = make_task(author, status=Status.RUNNING)
        end(task, status)
        assert not outcomes.cancelled(task, task.fence)  # too late, and nothing to tell
        delivery = WebhookDelivery.objects.get()
        data = delivery.payload["data"]
        assert (delivery.endpoint, delivery.event, delivery.task_uuid) == (endpoint, f"task.{status}", task.uuid)
        assert (delivery.payload["type"], data["id"], data["status"]) == (f"task.{status}", str(task.uuid), status)
        assert data["url"] == reverse("cms_ai_images:task-detail", args=[task.uuid])
        assert (data["user"], data["num_images"]) == (author.pk, 2 if status == Status.SUCCEEDED else 0)
        assert data["error"] == ({"code": "worker_lost", "retryable": True} if status == Status.FAILED else None)
        assert datetime.fromisoformat(delivery.payload["timestamp"]).tzinfo is not None

    def test_what_was_asked_for_is_not_told(self, receiver: Receiver, author: User) -> None:
        make_endpoint(receiver)
        end(make_task(author, status=Status.RUNNING, prompt="a confidential fox"), Status.SUCCEEDED)
        assert "fox" not in str(WebhookDelivery.objects.values().get())

    def test_an_attempt_that_is_repeated_is_no_end(self, receiver: Receiver, author: User) -> None:
        make_endpoint(receiver)
        task = make_task(author, status=Status.RUNNING)
        assert outcomes.failed(task, task.fence, WorkerLost()) is Status.QUEUED
        assert told() == []

    def test_each_is_told_what_it_wants_to_know(self, receiver: Receiver, author: User, other_author: User) -> None:
        make_endpoint(receiver, name="everything")
        make_endpoint(receiver, name="failures", events=["task.failed"])
        make_endpoint(receiver, name="author's", user=author)
        make_endpoint(receiver, name="other's", user=other_author)
        make_endpoint(receiver, name="disabled", enabled=False)
        end(make_task(author, status=Status.RUNNING), Status.SUCCEEDED)
        assert sorted(told()) == [("author's", "task.succeeded"), ("everything", "task.succeeded")]
        WebhookDelivery.objects.all().delete()
        end(make_task(other_author, status=Status.RUNNING), Status.FAILED)
        assert sorted(told()) == [(name, "task.failed") for name in ("everything", "failures", "other's")]

    def test_what_is_undone_is_not_told(self, receiver: Receiver, author: User) -> None:
        make_endpoint(receiver)
        task = make_task(author, status=Status.RUNNING)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            assert outcomes.succeeded(task, task.fence, delivered=1, model_revision="")
            raise ZeroDivisionError
        assert told() == []

    def test_a_retry_ends_anew(self, receiver: Receiver, author: User) -> None:
        make_endpoint(receiver)
        task = make_task(author)
        services.cancel(author, task)
        assert told() == [("newsroom", "task.cancelled")]
        task.refresh_from_db()
        GenerationTask.objects.filter(pk=task.pk).update(status=Status.QUEUED, charge_round=2)
        task.refresh_from_db()
        services.cancel(author, task)
        assert told() == [("newsroom", "task.cancelled")] * 2

    def test_it_costs_nothing_where_no_host_is_listed(self, receiver: Receiver, author: User, settings: Any) -> None:
        task = make_task(author)
        with CaptureQueriesContext(connection) as asked:
            outbox.note(task, Status.CANCELLED)
        assert len(asked) == 1
        make_endpoint(receiver)
        settings.CMS_AI_IMAGES = {}
        with CaptureQueriesContext(connection) as asked:
            outbox.note(task, Status.CANCELLED)
        assert len(asked) == 0
        assert told() == []


@pytest.mark.django_db(transaction=True)
class TestCourier:
    def test_a_slow_receiver_keeps_no_other_waiting(self, receiver: Receiver, settings: Any) -> None:
        with Receiver() as slow:
            settings.CMS_AI_IMAGES = {
                "WEBHOOK_ALLOWED_HOSTS": [f"http://{receiver.host}", f"http://{slow.host}"],
                "WEBHOOK_PRIVATE_HOSTS": ["127.0.0.1"],
                "RECONCILE_SECONDS": 0.05,
            }
            slow.go_on.clear()
            make_delivery(receiver, make_endpoint(slow, name="slow", url=slow.url))
            endpoint = make_endpoint(receiver)
            courier = Courier()
            courier.start()
            try:
                slow.wait()
                for _ in range(3):
                    delivery = make_delivery(receiver, endpoint)
                    assert receiver.wait().headers["webhook-id"] == delivery.message_id
                assert len(slow.messages) == 1, "it is not called again while it is asked"
            finally:
                courier.stop()
                slow.go_on.set()

    def test_what_is_noted_arrives(self, receiver: Receiver, author: User, settings: Any) -> None:
        settings.CMS_AI_IMAGES = {**receiver.settings, "RECONCILE_SECONDS": 0.05}
        endpoint = make_endpoint(receiver)
        courier = Courier()
        courier.start()
        try:
            task = make_task(author)
            services.cancel(author, task)
            assert receiver.wait().verified(endpoint.secret)["data"]["id"] == str(task.uuid)
        finally:
            courier.stop()


@pytest.mark.django_db(transaction=True)
def test_a_process_of_its_own_sends_until_it_is_stopped(receiver: Receiver) -> None:
    first = make_delivery(receiver)
    site = {**receiver.settings, "RECONCILE_SECONDS": 0.1}
    environment = child_environment(AI_IMAGES_TEST_SETTINGS=json.dumps(site))
    process = subprocess.Popen(manage("ai_images_webhooks"), env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert receiver.wait(120).headers["webhook-id"] == first.message_id
        second = make_delivery(receiver)
        assert receiver.wait().headers["webhook-id"] == second.message_id
        process.terminate()
        assert process.communicate(timeout=60) == ("Sending webhooks.\n", None)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def test_an_id_is_the_same_each_time() -> None:
    delivery = WebhookDelivery()
    assert delivery.message_id == WebhookDelivery(uuid=delivery.uuid).message_id
    assert datetime.now(tz=UTC) - delivery.created_at < timedelta(seconds=5)
