"""Webhooks in the admin: their secret is shown once, and the log tells what happened."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from cms_ai_images.models import AuditEntry, WebhookDelivery, WebhookEndpoint

from .conftest import logged_in, make_user
from .factories import make_delivery, make_endpoint
from .receiver import Receiver

pytestmark = pytest.mark.django_db

State = WebhookDelivery.Status
ADD = "admin:cms_ai_images_webhookendpoint_add"
LIST = "admin:cms_ai_images_webhookendpoint_changelist"
LOG = "admin:cms_ai_images_webhookdelivery_changelist"


@pytest.fixture
def manager(db: None) -> User:
    return make_user("manager", "cms_ai_images.manage_webhooks", is_staff=True)


@pytest.fixture
def manages(manager: User) -> Client:
    return logged_in(manager)


def form(receiver: Receiver, **fields: Any) -> dict[str, Any]:
    return {"name": "newsroom", "url": receiver.url, "events": ["task.succeeded"], "enabled": "on", **fields}


def test_the_secret_is_shown_once(manages: Client, manager: User, receiver: Receiver) -> None:
    response = manages.post(reverse(ADD), form(receiver, reason="they asked for it"))
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert endpoint.secret.startswith("whsec_")
    change = reverse("admin:cms_ai_images_webhookendpoint_change", args=[endpoint.pk])
    for page in (reverse(LIST), change):
        assert endpoint.secret not in manages.get(page).content.decode()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.reason) == ("webhook_changed", manager, "they asked for it")
    assert endpoint.secret not in str(entry.details)


@pytest.mark.parametrize(
    "url",
    ["https://example.org/", "http://localhost:8000/", "file:///etc/passwd", "https://a:b@hooks.example.org/"],
)
def test_hosts_that_are_not_listed_are_refused(manages: Client, receiver: Receiver, url: str) -> None:
    response = manages.post(reverse(ADD), form(receiver, url=url))
    assert response.context["adminform"].form.has_error("url", "address_refused")
    assert not WebhookEndpoint.objects.exists()


def test_an_event_must_be_chosen(manages: Client, receiver: Receiver) -> None:
    response = manages.post(reverse(ADD), form(receiver, events=[]))
    assert response.context["adminform"].form.has_error("events")


def test_the_secret_can_be_replaced(manages: Client, receiver: Receiver) -> None:
    endpoint = make_endpoint(receiver)
    data = {"action": "replace_secret", "_selected_action": [endpoint.pk]}
    page = manages.post(reverse(LIST), data).content.decode()
    old = endpoint.secret
    endpoint.refresh_from_db()
    assert endpoint.secret != old and endpoint.secret in page
    assert AuditEntry.objects.get().details == {"event": "secret replaced"}


def test_the_log_tells_what_happened_and_sends_again(manages: Client, receiver: Receiver) -> None:
    delivery = make_delivery(receiver, status=State.FAILED, attempts=7, response_status=503)
    page = manages.get(reverse(LOG)).content.decode()
    assert str(delivery.task_uuid) in page and "503" in page and "Given up" in page
    manages.post(reverse(LOG), {"action": "send_again", "_selected_action": [delivery.pk]})
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == (State.WAITING, 0)
    detail = manages.get(reverse("admin:cms_ai_images_webhookdelivery_change", args=[delivery.pk]))
    assert delivery.message_id in detail.content.decode()
    assert delivery.endpoint.secret not in detail.content.decode()


def test_a_webhook_goes_with_its_log(manages: Client, receiver: Receiver) -> None:
    endpoint = make_delivery(receiver).endpoint
    page = reverse("admin:cms_ai_images_webhookendpoint_delete", args=[endpoint.pk])
    assert "Webhook deliveries: 1" in manages.get(page).content.decode()
    manages.post(page, {"post": "yes"})
    assert not WebhookDelivery.objects.exists()


def test_nobody_else_sees_them(author: User, receiver: Receiver) -> None:
    make_delivery(receiver)
    client = logged_in(author)
    assert {client.get(reverse(page)).status_code for page in (ADD, LIST, LOG)} == {403}
