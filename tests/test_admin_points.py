"""Points and limits in the admin: who may give them, what moves a balance, and what is seen where none are counted."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from cms_ai_images.models import (
    AuditEntry,
    CreditAccount,
    CreditEntry,
    GenerationModel,
    GenerationTask,
    GroupLimits,
)

from .admin_pages import errors_of, url
from .conftest import logged_in, make_user
from .factories import make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(author: User) -> CreditAccount:
    return CreditAccount.objects.create(user=author, balance=100)


def enter(admin_browser: Client, account: CreditAccount, kind: str, amount: Any) -> HttpResponse:
    data = {"account": account.pk, "kind": kind, "amount": amount, "note": "July"}
    return admin_browser.post(url(CreditEntry, "add"), data)


def test_grant_and_correction_move_the_balance(admin_browser: Client, admin: User, account: CreditAccount) -> None:
    assert enter(admin_browser, account, "grant", 50).status_code == 302
    assert enter(admin_browser, account, "correction", -150).status_code == 302
    account.refresh_from_db()
    assert account.balance == 0
    entries = CreditEntry.objects.order_by("pk")
    assert [(entry.kind, entry.amount, entry.created_by) for entry in entries] == [
        ("grant", 50, admin),
        ("correction", -150, admin),
    ]


@pytest.mark.parametrize(
    ("kind", "amount", "field"),
    [
        ("correction", -101, "amount"),
        ("grant", -1, "amount"),
        ("grant", 0, "amount"),
        ("correction", 0, "amount"),
        ("grant", 2**63 - 1, "amount"),
        ("grant", "much", "amount"),
        ("refund", 5, "kind"),
    ],
)
def test_entry_that_cannot_be_is_explained_at_its_field(
    admin_browser: Client, account: CreditAccount, kind: str, amount: Any, field: str
) -> None:
    assert list(errors_of(enter(admin_browser, account, kind, amount))) == [field]
    account.refresh_from_db()
    assert account.balance == 100
    assert not CreditEntry.objects.exists()


def test_account_is_of_a_user_or_a_group(admin_browser: Client, author: User) -> None:
    errors = errors_of(admin_browser.post(url(CreditAccount, "add"), {"user": "", "group": ""}))
    message = ["Choose either a user or a group."]
    assert errors == {"user": message, "group": message}
    assert admin_browser.post(url(CreditAccount, "add"), {"user": author.pk, "group": ""}).status_code == 302
    assert CreditAccount.objects.get().balance == 0


def test_entry_needs_a_reason(admin_browser: Client, account: CreditAccount) -> None:
    response = admin_browser.post(
        url(CreditEntry, "add"), {"account": account.pk, "kind": "grant", "amount": 5, "note": " "}
    )
    assert list(errors_of(response)) == ["note"]
    assert not CreditEntry.objects.exists()


def test_account_stays_whose_it_is(admin_browser: Client, account: CreditAccount, designer: User) -> None:
    address = url(CreditAccount, "change", account.pk)
    assert admin_browser.post(address, {"user": designer.pk, "balance": 900, "allowance": 50}).status_code == 302
    owner = account.user
    account.refresh_from_db()
    assert (account.user, account.balance, account.allowance) == (owner, 100, 50)
    assert admin_browser.post(url(CreditAccount, "delete", account.pk), {"post": "yes"}).status_code == 403


POINTS = [(CreditAccount, "changelist"), (CreditAccount, "add"), (CreditEntry, "changelist"), (CreditEntry, "add")]


@pytest.mark.parametrize(("model", "page"), POINTS, ids=lambda value: getattr(value, "__name__", value))
def test_while_points_are_not_counted_nothing_of_them_is_seen(admin: User, model: type, page: str) -> None:
    off = logged_in(admin)
    assert off.get(url(model, page)).status_code == 403
    assert "redit" not in off.get(reverse("admin:index")).content.decode()
    assert "points" not in off.get(url(GroupLimits, "add")).content.decode()
    assert "rice" not in off.get(url(GenerationModel, "add")).content.decode()
    assert "oints" not in off.get(url(GenerationTask, "change", make_task().pk)).content.decode()


@pytest.mark.parametrize(("model", "page"), [*POINTS, (GroupLimits, "changelist"), (GroupLimits, "add")])
def test_one_permission_opens_the_pages_of_points_and_limits(settings, model: type, page: str) -> None:
    settings.CMS_AI_IMAGES = {"CREDITS": True}
    may = make_user("treasurer", "cms_ai_images.manage_credits", is_staff=True)
    may_not = make_user("editor", "cms_ai_images.generate", is_staff=True)
    assert logged_in(may).get(url(model, page)).status_code == 200
    assert logged_in(may_not).get(url(model, page)).status_code == 403


def test_limits_of_a_group_are_told_in_the_audit_trail(admin_browser: Client, admin: User) -> None:
    group = Group.objects.create(name="Sports")
    data = {"group": group.pk, "active_tasks": 3, "task_seconds": 0, "reason": "The cup"}
    assert list(errors_of(admin_browser.post(url(GroupLimits, "add"), data))) == ["task_seconds"]
    assert admin_browser.post(url(GroupLimits, "add"), {**data, "task_seconds": ""}).status_code == 302
    entry = AuditEntry.objects.get(action=AuditEntry.Action.LIMITS_CHANGED)
    assert (entry.actor, entry.reason, entry.details["changes"]["active_tasks"]) == (admin, "The cup", [None, 3])


def test_entry_page_says_what_it_was_for(admin_browser: Client, account: CreditAccount) -> None:
    task = make_task(account.user)
    entry = CreditEntry.objects.create(account=account, kind="reserve", amount=-30, task_uuid=task.uuid, note="")
    page = admin_browser.get(url(CreditEntry, "change", entry.pk)).content.decode()
    assert str(task.uuid) in page
    assert "Reserved" in page
