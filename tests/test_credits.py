"""Points: every sum comes out, and nobody pays or is paid twice."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cms_ai_images import credits
from cms_ai_images.exceptions import InsufficientCredits
from cms_ai_images.models import CreditAccount, CreditEntry, GenerationTask

from .factories import make_task

Kind = CreditEntry.Kind
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def credits_on(settings) -> None:
    settings.CMS_AI_IMAGES = {"CREDITS": True}


@pytest.fixture
def account(author: User) -> CreditAccount:
    return CreditAccount.objects.create(user=author, balance=100)


def balance(account: CreditAccount) -> int:
    account.refresh_from_db()
    return account.balance


def movements(task: GenerationTask) -> list[tuple[str, int]]:
    return [(entry.kind, entry.amount) for entry in CreditEntry.objects.filter(task_uuid=task.uuid).order_by("pk")]


def test_reservation_takes_the_cost_and_says_what_for(author: User, account: CreditAccount) -> None:
    task = make_task(author, cost=30)
    credits.reserve(task)
    entry = CreditEntry.objects.get()
    assert balance(account) == 70
    assert (entry.kind, entry.amount, entry.account, entry.charge_round) == (Kind.RESERVE, -30, account, 1)
    assert (entry.task_uuid, entry.model_label, entry.operation) == (task.uuid, "Dummy", "text_to_image")
    task.delete()
    assert CreditEntry.objects.filter(pk=entry.pk).exists()  # it outlives the task


@pytest.mark.parametrize(("delivered", "back"), [(3, 0), (2, 10), (1, 20), (0, 30), (4, 0)])
def test_settlement_gives_back_what_was_not_delivered(
    author: User, account: CreditAccount, delivered: int, back: int
) -> None:
    task = make_task(author, cost=30, num_images=3)
    credits.reserve(task)
    credits.settle(task, delivered)
    assert balance(account) == 70 + back
    assert movements(task) == [(Kind.RESERVE, -30), (Kind.SETTLE, back)]


def test_refund_gives_everything_back(author: User, account: CreditAccount) -> None:
    task = make_task(author, cost=30)
    credits.reserve(task)
    credits.refund(task)
    assert balance(account) == 100
    assert movements(task) == [(Kind.RESERVE, -30), (Kind.REFUND, 30)]


@pytest.mark.parametrize("step", ["reserve", "settle", "refund"])
def test_repeating_a_step_pays_nothing_twice(author: User, account: CreditAccount, step: str) -> None:
    task = make_task(author, cost=30)

    def do() -> None:
        with transaction.atomic():
            if step == "settle":
                credits.settle(task, 0)
            else:
                getattr(credits, step)(task)

    credits.reserve(task)
    if step != "reserve":
        do()
    before = balance(account)
    with pytest.raises(IntegrityError):
        do()
    assert balance(account) == before


def test_each_charge_round_is_paid_for_itself(author: User, account: CreditAccount) -> None:
    task = make_task(author, cost=30)
    credits.reserve(task)
    credits.refund(task)
    task.charge_round = 2
    credits.reserve(task)
    credits.settle(task, 1)
    assert balance(account) == 70


def test_too_expensive_takes_nothing_and_says_how_much_is_left(author: User, account: CreditAccount) -> None:
    with pytest.raises(InsufficientCredits) as caught:
        credits.reserve(make_task(author, cost=101))
    assert caught.value.params == {"cost": 101, "balance": 100}
    assert "101 points and 100 are left" in str(caught.value)
    assert balance(account) == 100
    assert not CreditEntry.objects.exists()
    credits.reserve(make_task(author, cost=100))
    assert balance(account) == 0


def test_author_without_an_account_has_nothing(author: User) -> None:
    with pytest.raises(InsufficientCredits) as caught:
        credits.reserve(make_task(author, cost=1))
    assert caught.value.params["balance"] == 0


def test_what_is_free_or_not_counted_is_not_written(author: User, account: CreditAccount, settings) -> None:
    free = make_task(author, cost=0)
    credits.reserve(free)
    credits.settle(free, 1)
    settings.CMS_AI_IMAGES = {}
    credits.reserve(make_task(author, cost=30))
    assert balance(account) == 100
    assert not CreditEntry.objects.exists()


def test_reservation_comes_back_though_credits_were_turned_off(author: User, account: CreditAccount, settings) -> None:
    task = make_task(author, cost=30)
    credits.reserve(task)
    settings.CMS_AI_IMAGES = {"CREDITS": False}
    credits.refund(task)
    assert balance(account) == 100


def test_task_of_a_deleted_author_is_charged_to_nobody() -> None:
    CreditAccount.objects.create(group=Group.objects.create(name="Sports"), balance=100)
    CreditAccount.objects.create(group=Group.objects.create(name="Politics"), balance=100)
    task = make_task(None, cost=30)
    credits.reserve(task)  # an operator retries it
    credits.refund(task)
    assert CreditAccount.objects.aggregate(all=Sum("balance")) == {"all": 200}
    assert not CreditEntry.objects.exists()


def test_grant_moves_the_balance_and_names_who_gave_it(account: CreditAccount, admin: User) -> None:
    credits.grant(CreditEntry(account=account, kind=Kind.GRANT, amount=50, note="July"), by=admin)
    credits.grant(CreditEntry(account=account, kind=Kind.CORRECTION, amount=-150), by=admin)
    assert balance(account) == 0
    assert {entry.created_by for entry in CreditEntry.objects.all()} == {admin}
    with pytest.raises(InsufficientCredits):
        credits.grant(CreditEntry(account=account, kind=Kind.CORRECTION, amount=-1), by=admin)
    assert balance(account) == 0
    assert CreditEntry.objects.count() == 2


def test_entry_is_never_changed(account: CreditAccount, admin: User) -> None:
    entry = CreditEntry(account=account, kind=Kind.GRANT, amount=50)
    credits.grant(entry, by=admin)
    entry.amount = 5000
    with pytest.raises(ValidationError) as caught:
        entry.save()
    assert caught.value.code == "entry_immutable"
    assert CreditEntry.objects.get().amount == 50


STEP = st.tuples(st.sampled_from(["request", "settle", "refund", "grant", "correct"]), st.integers(0, 40))


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(STEP, max_size=12))
def test_balance_is_the_sum_of_the_ledger_whatever_happens(author: User, steps: list[tuple[str, int]]) -> None:
    with transaction.atomic():
        account = CreditAccount.objects.create(user=author)
        open_tasks: list[GenerationTask] = []
        for step, number in steps:
            try:
                if step == "request":
                    task = make_task(author, cost=number, num_images=3)
                    credits.reserve(task)
                    open_tasks.append(task)
                elif step in ("grant", "correct"):
                    amount = number if step == "grant" else -number
                    kind = Kind.GRANT if step == "grant" else Kind.CORRECTION
                    credits.grant(CreditEntry(account=account, kind=kind, amount=amount), by=None)
                elif open_tasks and step == "refund":
                    credits.refund(open_tasks.pop())
                elif open_tasks:
                    credits.settle(open_tasks.pop(), number % 4)
            except InsufficientCredits:
                pass  # then nothing may have moved
            total = CreditEntry.objects.filter(account=account).aggregate(all=Sum("amount"))["all"] or 0
            assert balance(account) == total >= 0
        transaction.set_rollback(True)
