"""Sending webhooks: signed, at least once, with growing pauses, and to nobody who is not listed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from types import FrameType
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from standardwebhooks.webhooks import WebhookVerificationError

from cms_ai_images.models import WebhookDelivery, WebhookEndpoint
from cms_ai_images.webhooks import outbox, sending

from .factories import make_delivery, make_endpoint
from .receiver import Receiver

pytestmark = pytest.mark.django_db

State = WebhookDelivery.Status
PAUSES = [5, 300, 1800, 7200, 18000, 36000]
"""Of the default settings."""


def wait_no_longer(delivery: WebhookDelivery) -> None:
    """The time of the next attempt has come."""
    WebhookDelivery.objects.filter(pk=delivery.pk).update(next_attempt_at=timezone.now())


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
