"""Points: every sum comes out, and nobody pays or is paid twice."""

from __future__ import annotations

from datetime import UTC, date, datetime
from io import StringIO

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone

from cms_ai_images import credits
from cms_ai_images.exceptions import InsufficientCredits
from cms_ai_images.models import AuditEntry, CreditAccount, CreditEntry, GenerationTask, GroupLimits

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


def test_what_is_settled_is_not_refunded_as_well(author: User, account: CreditAccount) -> None:
    task = make_task(author, cost=30)
    credits.reserve(task)
    credits.settle(task, 1)
    with pytest.raises(IntegrityError), transaction.atomic():
        credits.refund(task)
    assert balance(account) == 70


class TestGroups:
    @pytest.fixture
    def desk(self, author: User) -> CreditAccount:
        """The account of a group that the author belongs to."""
        group = Group.objects.create(name="Sports desk")
        author.groups.add(group)
        return CreditAccount.objects.create(group=group, balance=500)

    def test_own_points_come_first(self, author: User, account: CreditAccount, desk: CreditAccount) -> None:
        credits.reserve(make_task(author, cost=100))
        assert (balance(account), balance(desk)) == (0, 500)

    def test_one_account_pays_the_whole_and_gets_it_back(
        self, author: User, account: CreditAccount, desk: CreditAccount
    ) -> None:
        task = make_task(author, cost=101)
        credits.reserve(task)
        assert (balance(account), balance(desk)) == (100, 399)
        author.groups.clear()
        credits.refund(task)
        assert (balance(account), balance(desk)) == (100, 500)

    def test_other_groups_do_not_pay(self, author: User, account: CreditAccount) -> None:
        CreditAccount.objects.create(group=Group.objects.create(name="Politics"), balance=500)
        with pytest.raises(InsufficientCredits) as caught:
            credits.reserve(make_task(author, cost=101))
        assert caught.value.params == {"cost": 101, "balance": 100}

    def test_the_balance_is_what_can_be_spent_in_one_go(
        self, author: User, account: CreditAccount, desk: CreditAccount
    ) -> None:
        told = credits.summary(author)
        assert credits.balance(author) == told["balance"] == 500
        assert told["own"] == {"balance": 100, "monthly": 0}
        assert told["groups"] == [{"name": "Sports desk", "balance": 500, "monthly": 0}]
        with pytest.raises(InsufficientCredits):
            credits.reserve(make_task(author, cost=501))

    def test_whoever_has_few_points_is_told(self, author: User, account: CreditAccount, settings) -> None:
        assert credits.summary(author)["low"] is False
        settings.CMS_AI_IMAGES = {"CREDITS": True, "LOW_BALANCE": 101}
        assert credits.summary(author)["low"] is True
        CreditAccount.objects.update(balance=101)
        assert credits.summary(author)["low"] is False


class TestAllowance:
    @pytest.fixture
    def month(self, monkeypatch: pytest.MonkeyPatch):
        """Makes it the first day of a month."""

        def move(year: int, number: int) -> None:
            monkeypatch.setattr("cms_ai_images.credits._this_month", lambda: date(year, number, 1))

        move(2026, 5)
        return move

    @staticmethod
    def spend(author: User, cost: int) -> None:
        credits.reserve(make_task(author, cost=cost))

    @staticmethod
    def allowances() -> list[tuple[int, date | None]]:
        entries = CreditEntry.objects.filter(kind=Kind.ALLOWANCE).order_by("pk")
        return list(entries.values_list("amount", "month"))

    def test_comes_with_the_first_use_of_a_month_and_does_not_pile_up(self, author: User, month) -> None:
        account = CreditAccount.objects.create(user=author, allowance=100)
        self.spend(author, 30)
        self.spend(author, 30)
        assert balance(account) == 40
        assert self.allowances() == [(100, date(2026, 5, 1))]
        month(2026, 6)
        self.spend(author, 10)
        assert balance(account) == 90
        month(2026, 12)
        self.spend(author, 100)
        assert balance(account) == 0
        assert self.allowances() == [(100, date(2026, 5, 1)), (60, date(2026, 6, 1)), (10, date(2026, 12, 1))]

    def test_what_was_granted_stays_and_counts(self, author: User, month, admin: User) -> None:
        account = CreditAccount.objects.create(user=author, allowance=100)
        credits.grant(CreditEntry(account=account, kind=Kind.GRANT, amount=500), by=admin)
        self.spend(author, 420)
        assert (balance(account), self.allowances()) == (80, [])
        self.spend(author, 10)  # the month has had its first use
        assert (balance(account), self.allowances()) == (70, [])
        month(2026, 6)
        self.spend(author, 100)
        assert (balance(account), self.allowances()) == (0, [(30, date(2026, 6, 1))])

    def test_is_seen_before_it_is_there_and_asking_writes_nothing(self, author: User, month) -> None:
        account = CreditAccount.objects.create(user=author, allowance=100, balance=20)
        assert credits.summary(author)["own"] == {"balance": 100, "monthly": 100}
        assert (balance(account), self.allowances()) == (20, [])
        self.spend(author, 100)
        assert credits.balance(author) == 0

    def test_too_expensive_leaves_it_for_later(self, author: User, month) -> None:
        account = CreditAccount.objects.create(user=author, allowance=100)
        with pytest.raises(InsufficientCredits) as caught, transaction.atomic():
            self.spend(author, 101)
        assert caught.value.params["balance"] == 100
        assert (balance(account), self.allowances()) == (0, [])

    def test_the_most_generous_group_decides_unless_the_account_does(self, author: User, month, settings) -> None:
        for name, points in (("Writers", 50), ("Sports", 80), ("Interns", None)):
            group = Group.objects.create(name=name)
            author.groups.add(group)
            GroupLimits.objects.create(group=group, monthly_points=points)
        GroupLimits.objects.create(group=Group.objects.create(name="Others"), monthly_points=900)
        settings.CMS_AI_IMAGES = {"CREDITS": True, "MONTHLY_POINTS": 200}
        assert credits.balance(author) == 80
        account = CreditAccount.objects.create(user=author, allowance=0)
        assert credits.balance(author) == 0
        CreditAccount.objects.update(allowance=None)
        author.groups.clear()
        assert credits.balance(author) == 200
        self.spend(author, 200)
        assert balance(account) == 0

    def test_one_that_comes_in_the_middle_of_a_month_counts_from_then_on(self, author: User, month) -> None:
        account = CreditAccount.objects.create(user=author, balance=10)
        self.spend(author, 10)
        CreditAccount.objects.update(allowance=40)
        self.spend(author, 25)
        assert balance(account) == 15

    def test_a_group_has_one_for_all_its_members(self, author: User, other_author: User, month) -> None:
        group = Group.objects.create(name="Sports desk")
        account = CreditAccount.objects.create(group=group, allowance=100)
        for person in (author, other_author):
            person.groups.add(group)
            self.spend(person, 40)
        assert (balance(account), self.allowances()) == (20, [(100, date(2026, 5, 1))])

    def test_no_month_is_paid_twice(self, author: User, month) -> None:
        account = CreditAccount.objects.create(user=author, allowance=100)
        self.spend(author, 1)
        with pytest.raises(IntegrityError), transaction.atomic():
            CreditEntry.objects.create(account=account, kind=Kind.ALLOWANCE, amount=5, month=date(2026, 5, 1))

    def test_a_month_begins_at_midnight_of_the_site(self, settings, monkeypatch: pytest.MonkeyPatch) -> None:
        late = datetime(2026, 5, 31, 20, tzinfo=UTC)
        monkeypatch.setattr("django.utils.timezone.now", lambda: late)
        settings.TIME_ZONE = "UTC"
        assert credits._this_month() == date(2026, 5, 1)
        settings.TIME_ZONE = "Asia/Shanghai"
        with timezone.override("America/New_York"):  # where the author is does not matter
            assert credits._this_month() == date(2026, 6, 1)


def test_an_account_outlives_who_it_belongs_to(author: User, admin: User) -> None:
    account = CreditAccount.objects.create(user=author)
    credits.grant(CreditEntry(account=account, kind=Kind.GRANT, amount=50), by=admin)
    task = make_task(author, cost=30)
    credits.reserve(task)
    author.delete()
    account.refresh_from_db()
    assert (account.user, account.balance, str(account)) == (None, 20, "author")
    task.refresh_from_db()
    credits.refund(task)
    assert balance(account) == 50
    desk = Group.objects.create(name="Sports desk")
    shared = CreditAccount.objects.create(group=desk)
    desk.delete()
    shared.refresh_from_db()
    assert str(shared) == "Sports desk"


class TestCommand:
    @staticmethod
    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("ai_images_credits", *arguments, stdout=out, stderr=out)
        return out.getvalue()

    @pytest.fixture
    def booked(self, author: User, other_author: User, admin: User) -> list[CreditAccount]:
        """Two accounts whose entries add up to 70 and 50."""
        accounts = [CreditAccount.objects.create(user=user) for user in (author, other_author)]
        for account, amount in zip(accounts, (100, 50), strict=True):
            credits.grant(CreditEntry(account=account, kind=Kind.GRANT, amount=amount), by=admin)
        credits.reserve(make_task(author, cost=30))
        return accounts

    def test_says_that_all_is_well(self, booked: list[CreditAccount], django_assert_num_queries) -> None:
        CreditAccount.objects.create(group=Group.objects.create(name="Nobody's yet"))
        with django_assert_num_queries(1):
            assert self.run() == "All balances are what their entries say.\n"

    def test_reports_what_differs_and_changes_nothing(self, booked: list[CreditAccount]) -> None:
        CreditAccount.objects.filter(pk=booked[0].pk).update(balance=71)
        out = StringIO()
        with pytest.raises(CommandError, match="1 account differs") as caught:
            call_command("ai_images_credits", stdout=out)
        assert caught.value.returncode == 1
        assert out.getvalue() == "author: the balance is 71, its entries say 70\n"
        assert balance(booked[0]) == 71

    def test_repairs_and_tells_the_audit_trail(self, booked: list[CreditAccount]) -> None:
        CreditAccount.objects.update(balance=0)
        assert self.run("--repair").endswith("Repaired.\n")
        assert [balance(account) for account in booked] == [70, 50]
        repairs = AuditEntry.objects.filter(details__kind="repair").order_by("pk")
        assert [entry.reason for entry in repairs] == ["Repaired: the balance was 0"] * 2
        assert "All balances" in self.run()

    def test_what_no_balance_can_be_is_left_to_people(self, booked: list[CreditAccount]) -> None:
        CreditEntry.objects.filter(kind=Kind.GRANT, account=booked[0]).delete()
        with pytest.raises(CommandError, match="1 account differs"):
            self.run("--repair")
        assert balance(booked[0]) == 70
