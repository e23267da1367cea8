"""Webhooks: noted with what they tell of, signed, sent at least once, and to nobody who is not listed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import FrameType
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from standardwebhooks.webhooks import WebhookVerificationError

from cms_ai_images import outcomes, services
from cms_ai_images.exceptions import WorkerLost
from cms_ai_images.models import AuditEntry, GenerationTask, WebhookDelivery, WebhookEndpoint
from cms_ai_images.models.webhooks import Event
from cms_ai_images.types import Status
from cms_ai_images.webhooks import outbox, sending
from cms_ai_images.webhooks.courier import Courier

from .conftest import make_user
from .factories import make_task
from .receiver import Receiver
from .services import child_environment, manage

pytestmark = pytest.mark.django_db

State = WebhookDelivery.Status
PAUSES = [5, 300, 1800, 7200, 18000, 36000]
"""Of the default settings."""


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with Receiver() as receiver:
        settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, **receiver.settings}
        yield receiver


def make_endpoint(receiver: Receiver, **fields: Any) -> WebhookEndpoint:
    """One that is told everything."""
    return WebhookEndpoint.objects.create(
        **{"name": "newsroom", "url": receiver.url, "events": list(Event.values), **fields}
    )


def make_delivery(receiver: Receiver, endpoint: WebhookEndpoint | None = None, **fields: Any) -> WebhookDelivery:
    """One that is due."""
    endpoint = endpoint or WebhookEndpoint.objects.first() or make_endpoint(receiver)
    task = make_task(status=Status.SUCCEEDED)
    values = {"event": Event.TASK_SUCCEEDED, "task_uuid": task.uuid, "payload": {"type": "task.succeeded", "ü": 1}}
    return WebhookDelivery.objects.create(endpoint=endpoint, **{**values, **fields})


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


def wait_no_longer(delivery: WebhookDelivery) -> None:
    """The time of the next attempt has come."""
    WebhookDelivery.objects.filter(pk=delivery.pk).update(next_attempt_at=timezone.now())


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


class TestSending:
    def test_a_message_is_signed_as_the_standard_says(self, receiver: Receiver) -> None:
        delivery = make_delivery(receiver)
        assert sending.send_next(delivery.endpoint_id) is True
        message = receiver.wait()
        assert message.verified(delivery.endpoint.secret) == delivery.payload
        assert message.headers["webhook-id"] == f"msg_{delivery.uuid.hex}"
        assert message.headers["Content-Type"] == "application/json"
        with pytest.raises(WebhookVerificationError):
            message.verified(WebhookEndpoint().secret)
        delivery.refresh_from_db()
        assert (delivery.status, delivery.attempts, delivery.response_status) == (State.DELIVERED, 1, 204)
        assert sending.send_next(delivery.endpoint_id) is None
        assert len(receiver.messages) == 1

    def test_the_oldest_comes_first_and_each_receiver_has_its_own(self, receiver: Receiver) -> None:
        first, second = make_delivery(receiver), make_delivery(receiver)
        other = make_delivery(receiver, make_endpoint(receiver, name="other"))
        assert sorted(sending.due_endpoints()) == sorted({first.endpoint_id, other.endpoint_id})
        assert list(sending.send_all(first.endpoint_id)) == [True, True]
        assert [message.headers["webhook-id"] for message in receiver.messages] == [
            first.message_id,
            second.message_id,
        ]
        assert sending.due_endpoints() == [other.endpoint_id]

    @pytest.mark.parametrize("status", [500, 503, 400, 404, 429, 302])
    def test_another_answer_is_tried_again_with_growing_pauses(self, receiver: Receiver, status: int) -> None:
        receiver.status = status
        delivery = make_delivery(receiver)
        for attempt, pause in enumerate(PAUSES, 1):
            before = timezone.now()
            assert sending.send_next(delivery.endpoint_id) is False
            delivery.refresh_from_db()
            assert (delivery.status, delivery.attempts) == (State.WAITING, attempt)
            assert delivery.response_status == status
            assert timedelta(0) <= delivery.next_attempt_at - before - timedelta(seconds=pause) < timedelta(seconds=5)
            assert sending.send_next(delivery.endpoint_id) is None, "before its time"
            wait_no_longer(delivery)
        assert sending.send_next(delivery.endpoint_id) is False
        delivery.refresh_from_db()
        assert (delivery.status, delivery.attempts) == (State.FAILED, 7)
        assert len({message.headers["webhook-id"] for message in receiver.messages}) == 1
        assert len(receiver.messages) == 7
        assert sending.due_endpoints() == []

    def test_what_was_given_up_can_be_sent_again(self, receiver: Receiver) -> None:
        delivery = make_delivery(receiver, status=State.FAILED, attempts=7)
        assert outbox.send_again(WebhookDelivery.objects.all()) == 1
        assert sending.send_next(delivery.endpoint_id) is True
        assert receiver.wait().headers["webhook-id"] == delivery.message_id

    def test_a_receiver_that_is_gone_is_disabled(self, receiver: Receiver) -> None:
        receiver.status = 410
        delivery = make_delivery(receiver)
        waiting = make_delivery(receiver)
        assert sending.send_next(delivery.endpoint_id) is False
        delivery.refresh_from_db()
        waiting.refresh_from_db()
        assert (delivery.status, delivery.endpoint.enabled, waiting.status) == (State.FAILED, False, State.WAITING)
        assert sending.due_endpoints() == []

    def test_redirects_are_not_followed(self, receiver: Receiver) -> None:
        with Receiver() as other:
            receiver.status, receiver.location = 307, other.url
            delivery = make_delivery(receiver)
            assert sending.send_next(delivery.endpoint_id) is False
            assert (len(receiver.messages), len(other.messages)) == (1, 0)

    def test_a_host_that_is_no_longer_listed_is_not_called(self, receiver: Receiver, settings: Any) -> None:
        delivery = make_delivery(receiver)
        settings.CMS_AI_IMAGES = {"WEBHOOK_ALLOWED_HOSTS": ["hooks.example.org"]}
        assert sending.send_next(delivery.endpoint_id) is False
        delivery.refresh_from_db()
        assert (delivery.response_status, receiver.messages) == (None, [])
        assert "may not be called" in delivery.error

    def test_a_listed_name_that_leads_into_this_network_is_not_called(self, receiver: Receiver, settings: Any) -> None:
        delivery = make_delivery(receiver)
        settings.CMS_AI_IMAGES = {**receiver.settings, "WEBHOOK_PRIVATE_HOSTS": []}
        assert sending.send_next(delivery.endpoint_id) is False
        delivery.refresh_from_db()
        assert (delivery.response_status, receiver.messages) == (None, [])

    def test_a_receiver_that_does_not_answer_is_left(self, receiver: Receiver, settings: Any) -> None:
        settings.CMS_AI_IMAGES = {**receiver.settings, "WEBHOOK_TIMEOUT_SECONDS": 0.3}
        receiver.go_on.clear()
        delivery = make_delivery(receiver)
        assert sending.send_next(delivery.endpoint_id) is False
        delivery.refresh_from_db()
        assert (delivery.status, delivery.response_status) == (State.WAITING, None)
        assert delivery.error

    def test_an_answer_that_is_no_http_is_noted_as_far_as_it_can_be_read(self, receiver: Receiver) -> None:
        receiver.raw = b"nonsense\0\x1b[2J\r\n"
        delivery = make_delivery(receiver)
        assert sending.send_next(delivery.endpoint_id) is False
        delivery.refresh_from_db()
        assert (delivery.status, delivery.error) == (State.WAITING, "nonsense\ufffd\ufffd[2J\ufffd\ufffd")

    def test_of_two_senders_one_sends(self, receiver: Receiver) -> None:
        delivery = make_delivery(receiver)
        assert sending._claim(WebhookDelivery.objects.get())
        assert not sending._claim(delivery), "somebody else has begun"
        assert sending.send_next(delivery.endpoint_id) is None

    def test_old_ones_are_forgotten(self, receiver: Receiver) -> None:
        make_delivery(receiver, created_at=timezone.now() - timedelta(days=31))
        kept = make_delivery(receiver, created_at=timezone.now() - timedelta(days=29))
        call_command("ai_images_purge", stdout=StringIO())
        assert WebhookDelivery.objects.get() == kept

    def test_the_command_sends_what_is_due(self, receiver: Receiver) -> None:
        make_delivery(receiver)
        out = StringIO()
        call_command("ai_images_webhooks", once=True, stdout=out)
        assert out.getvalue() == "Delivered: 1. Not delivered: 0.\n"
        assert len(receiver.messages) == 1


class Death(BaseException):
    """What nothing handles."""


def dying_at(line: int) -> Callable[..., Any]:
    """A trace function that ends the sender at the nth line that it runs in its own module."""
    left = line

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != sending.__file__:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                raise Death
        return trace

    return trace


def test_a_sender_that_dies_at_any_line_loses_nothing(receiver: Receiver) -> None:
    endpoint = make_endpoint(receiver)
    tracing = sys.gettrace()
    for line in range(200):
        delivery = make_delivery(receiver, endpoint)
        receiver.messages.clear()
        sys.settrace(dying_at(line))
        try:
            sending.send_next(endpoint.pk)
        except Death:
            died = True
        else:
            died = False
        finally:
            sys.settrace(tracing)
        wait_no_longer(delivery)
        list(sending.send_all(endpoint.pk))
        delivery.refresh_from_db()
        assert (delivery.status, delivery.attempts) in {(State.DELIVERED, 1), (State.DELIVERED, 2)}
        assert len(receiver.messages) in {1, 2}
        assert {message.headers["webhook-id"] for message in receiver.messages} == {delivery.message_id}
        if not died:
            break
    assert line > 20, "it died at few lines only"
    assert not died, "it never came to the end"


def test_what_kills_its_sender_is_given_up(receiver: Receiver) -> None:
    delivery = make_delivery(receiver, attempts=len(PAUSES) + sending.MOST_LOST)
    assert sending.send_next(delivery.endpoint_id) is False
    delivery.refresh_from_db()
    assert (delivery.status, receiver.messages) == (State.FAILED, [])


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


class TestAdmin:
    ADD = "admin:cms_ai_images_webhookendpoint_add"
    LIST = "admin:cms_ai_images_webhookendpoint_changelist"
    LOG = "admin:cms_ai_images_webhookdelivery_changelist"

    @pytest.fixture
    def manager(self) -> User:
        return make_user("manager", "cms_ai_images.manage_webhooks", is_staff=True)

    @pytest.fixture
    def manages(self, client: Client, manager: User) -> Client:
        client.force_login(manager)
        return client

    def fields(self, receiver: Receiver, **fields: Any) -> dict[str, Any]:
        return {"name": "newsroom", "url": receiver.url, "events": ["task.succeeded"], "enabled": "on", **fields}

    def test_the_secret_is_shown_once(self, manages: Client, manager: User, receiver: Receiver) -> None:
        response = manages.post(reverse(self.ADD), self.fields(receiver, reason="they asked for it"))
        endpoint = WebhookEndpoint.objects.get()
        assert endpoint.secret in response.content.decode()
        assert "no-store" in response["Cache-Control"]
        assert endpoint.secret.startswith("whsec_")
        change = reverse("admin:cms_ai_images_webhookendpoint_change", args=[endpoint.pk])
        for page in (reverse(self.LIST), change):
            assert endpoint.secret not in manages.get(page).content.decode()
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor, entry.reason) == ("webhook_changed", manager, "they asked for it")
        assert endpoint.secret not in str(entry.details)

    @pytest.mark.parametrize(
        "url",
        ["https://example.org/", "http://localhost:8000/", "file:///etc/passwd", "https://a:b@hooks.example.org/"],
    )
    def test_hosts_that_are_not_listed_are_refused(self, manages: Client, receiver: Receiver, url: str) -> None:
        response = manages.post(reverse(self.ADD), self.fields(receiver, url=url))
        assert response.context["adminform"].form.has_error("url", "address_refused")
        assert not WebhookEndpoint.objects.exists()

    def test_an_event_must_be_chosen(self, manages: Client, receiver: Receiver) -> None:
        response = manages.post(reverse(self.ADD), self.fields(receiver, events=[]))
        assert response.context["adminform"].form.has_error("events")

    def test_the_secret_can_be_replaced(self, manages: Client, receiver: Receiver) -> None:
        endpoint = make_endpoint(receiver)
        data = {"action": "replace_secret", "_selected_action": [endpoint.pk]}
        page = manages.post(reverse(self.LIST), data).content.decode()
        old = endpoint.secret
        endpoint.refresh_from_db()
        assert endpoint.secret != old and endpoint.secret in page
        assert AuditEntry.objects.get().details == {"event": "secret replaced"}

    def test_the_log_tells_what_happened_and_sends_again(self, manages: Client, receiver: Receiver) -> None:
        delivery = make_delivery(receiver, status=State.FAILED, attempts=7, response_status=503)
        page = manages.get(reverse(self.LOG)).content.decode()
        assert str(delivery.task_uuid) in page and "503" in page and "Given up" in page
        manages.post(reverse(self.LOG), {"action": "send_again", "_selected_action": [delivery.pk]})
        delivery.refresh_from_db()
        assert (delivery.status, delivery.attempts) == (State.WAITING, 0)
        detail = manages.get(reverse("admin:cms_ai_images_webhookdelivery_change", args=[delivery.pk]))
        assert delivery.message_id in detail.content.decode()
        assert delivery.endpoint.secret not in detail.content.decode()

    def test_a_webhook_goes_with_its_log(self, manages: Client, receiver: Receiver) -> None:
        endpoint = make_delivery(receiver).endpoint
        page = reverse("admin:cms_ai_images_webhookendpoint_delete", args=[endpoint.pk])
        assert "Webhook deliveries: 1" in manages.get(page).content.decode()
        manages.post(page, {"post": "yes"})
        assert not WebhookDelivery.objects.exists()

    def test_nobody_else_sees_them(self, client: Client, author: User, receiver: Receiver) -> None:
        make_delivery(receiver)
        client.force_login(author)
        assert {client.get(reverse(page)).status_code for page in (self.ADD, self.LIST, self.LOG)} == {403}


def test_an_id_is_the_same_each_time() -> None:
    delivery = WebhookDelivery()
    assert delivery.message_id == WebhookDelivery(uuid=delivery.uuid).message_id
    assert datetime.now(tz=UTC) - delivery.created_at < timedelta(seconds=5)
