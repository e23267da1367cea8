"""Whatever happens in whatever order, and wherever a process dies: balances are the sums of their entries."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cms_ai_images import credits, lifecycle, outcomes, services
from cms_ai_images.exceptions import AIImagesError, GenerationError, ModelFilesMissing
from cms_ai_images.models import CreditAccount, CreditEntry, GenerationTask, Worker
from cms_ai_images.types import GenerationRequest, Status

from .conftest import make_user
from .factories import make_model, make_worker

Kind = CreditEntry.Kind
DEATH = st.one_of(st.none(), st.integers(0, 8), st.integers(0, 20))
"""The process dies before this statement, if there are so many. (Before a commit is as good as before the first.)"""
POINTS = st.integers(1, 60)
WHO = st.integers(0, 1)
WHICH = st.integers(0, 50)


class Died(BaseException):
    """Not an error that anybody handles."""


@contextlib.contextmanager
def dying(before: int | None) -> Iterator[None]:
    """Let the process die before this statement: what is not committed is gone, and nothing else is."""
    left = -1 if before is None else before

    def execute(run: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left == -1:  # once: what undoes the transaction lets the database do what it does when a client is gone
            raise Died
        return run(*arguments)

    with contextlib.suppress(Died), connection.execute_wrapper(execute):
        yield
        return
    deaths.append(before)


deaths: list[int | None] = []
"""Those that came."""


class Ledger(RuleBasedStateMachine):
    """Two people, one shared account, one model with two prices, and everything that moves points."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.month = date(2026, 1, 1)
        self.patch.setattr(credits, "_this_month", lambda: self.month)
        everything = {"CREDITS": True, "QUEUE_WITHOUT_WORKER": True, "MONTHLY_POINTS": 25, "RETRY_PAUSES_SECONDS": [0]}
        unlimited = {"LIMITS": {"requests_per_minute": None, "active_tasks": None}}
        self.site = override_settings(CMS_AI_IMAGES={**everything, **unlimited})
        self.site.enable()
        self.model = make_model(prices={"text_to_image": {"standard": 7, "high": 13}}, qualities={"high": {"steps": 4}})
        self.worker: Worker = make_worker()
        self.people = [make_user(name, "cms_ai_images.generate") for name in ("ada", "ben")]
        self.admin = make_user("admin", is_superuser=True)
        self.group = Group.objects.create(name="Desk")
        self.group.user_set.set(self.people)
        self.accounts = [CreditAccount.objects.create(user=person) for person in self.people]
        self.accounts.append(CreditAccount.objects.create(group=self.group, allowance=40))

    def teardown(self) -> None:
        self.site.disable()
        self.patch.undo()
        for table in (GenerationTask, CreditEntry, CreditAccount, Worker, Group):
            table.objects.all().delete()
        for person in [*self.people, self.admin]:
            person.delete()
        self.model.delete()

    def tasks(self, *states: str) -> list[GenerationTask]:
        return list(GenerationTask.objects.filter(status__in=states).order_by("pk"))

    def one(self, which: int, *states: str) -> GenerationTask | None:
        tasks = self.tasks(*states)
        return tasks[which % len(tasks)] if tasks else None

    @rule(number=st.integers(0, 2), points=POINTS, is_grant=st.booleans(), death=DEATH)
    def grant(self, number: int, points: int, is_grant: bool, death: int | None) -> None:
        kind, amount = (Kind.GRANT, points) if is_grant else (Kind.CORRECTION, -points)
        entry = CreditEntry(account=self.accounts[number], kind=kind, amount=amount, note="Because")
        with contextlib.suppress(AIImagesError), dying(death):
            credits.grant(entry, by=self.admin)

    @rule(who=WHO, pictures=st.integers(1, 4), quality=st.sampled_from(["standard", "high"]), death=DEATH)
    def request(self, who: int, pictures: int, quality: str, death: int | None) -> None:
        wish = GenerationRequest(prompt="an apple", num_images=pictures, quality=quality)
        with contextlib.suppress(AIImagesError), dying(death):
            services.request_generation(self.people[who], wish)

    @rule(which=WHICH, by_admin=st.booleans(), death=DEATH)
    def retry(self, which: int, by_admin: bool, death: int | None) -> None:
        if task := self.one(which, Status.FAILED, Status.CANCELLED):
            with contextlib.suppress(AIImagesError), dying(death):
                services.retry(self.admin if by_admin else task.user, task)

    @rule(which=WHICH, death=DEATH)
    def cancel(self, which: int, death: int | None) -> None:
        if task := self.one(which, *Status):
            with contextlib.suppress(AIImagesError), dying(death):
                services.cancel(task.user, task)

    @rule(which=WHICH)
    def claim(self, which: int) -> None:
        if task := self.one(which, Status.QUEUED):
            later = timezone.now() + timedelta(minutes=5)
            assert lifecycle.claim(task, worker_id=self.worker.pk, lease=later, deadline=later)

    @rule(which=WHICH, delivered=st.integers(0, 4), death=DEATH)
    def deliver(self, which: int, delivered: int, death: int | None) -> None:
        if task := self.one(which, Status.RUNNING):
            with dying(death), transaction.atomic():
                outcomes.succeeded(task, task.fence, delivered=delivered, model_revision="")

    @rule(which=WHICH, for_good=st.booleans(), death=DEATH)
    def fail(self, which: int, for_good: bool, death: int | None) -> None:
        if task := self.one(which, Status.RUNNING):
            error = ModelFilesMissing(model="x", detail="y") if for_good else GenerationError()
            with dying(death):
                outcomes.failed(task, task.fence, error)

    @rule(which=WHICH, death=DEATH)
    def stop(self, which: int, death: int | None) -> None:
        """A worker ends what somebody cancelled, or hands back what it cannot finish."""
        if task := self.one(which, Status.RUNNING):
            with dying(death):
                if task.cancel_requested_at:
                    outcomes.cancelled(task, task.fence)
                else:
                    outcomes.handed_back(task, task.fence)

    @rule(which=WHICH)
    def repeat_the_end(self, which: int) -> None:
        """Somebody who does not know that a task is over ends it again."""
        if task := self.one(which, *Status.final()):
            fence = task.fence
            with transaction.atomic():
                assert not outcomes.succeeded(task, fence, delivered=0, model_revision="")
            assert outcomes.failed(task, fence, ModelFilesMissing(model="x", detail="y")) is None
            assert not outcomes.cancelled(task, fence)

    @rule()
    def next_month(self) -> None:
        self.month = (self.month + timedelta(days=32)).replace(day=1)

    @rule(who=WHO)
    def leave_or_join_the_group(self, who: int) -> None:
        group, person = self.group, self.people[who]
        (group.user_set.remove if group in person.groups.all() else group.user_set.add)(person)

    @invariant()
    def balances_are_the_sums_of_their_entries(self) -> None:
        assert list(credits.differences()) == []
        assert not CreditAccount.objects.filter(balance__lt=0).exists()

    @invariant()
    def every_round_is_paid_for_once_and_closed_once(self) -> None:
        kinds = Counter(CreditEntry.objects.exclude(task_uuid=None).values_list("task_uuid", "charge_round", "kind"))
        assert set(kinds.values()) <= {1}
        for task in GenerationTask.objects.all():
            for charge_round in range(1, task.charge_round + 1):
                booked = {kind for uuid, number, kind in kinds if (uuid, number) == (task.uuid, charge_round)}
                is_open = charge_round == task.charge_round and not task.is_final
                is_delivered = charge_round == task.charge_round and task.status == Status.SUCCEEDED
                end = set() if is_open else {Kind.SETTLE} if is_delivered else {Kind.REFUND}
                assert booked == {Kind.RESERVE} | end

    @invariant()
    def no_month_is_filled_twice(self) -> None:
        months = CreditEntry.objects.filter(kind=Kind.ALLOWANCE).values_list("account", "month")
        assert len(months) == len(set(months))


@pytest.mark.django_db(transaction=True)
def test_no_sequence_of_events_and_deaths_loses_or_makes_a_point() -> None:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    chosen = hypothesis_settings(max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=slow)
    run_state_machine_as_test(Ledger, settings=chosen)


def queued(ledger: Ledger) -> None:
    ledger.request(who=0, pictures=2, quality="standard", death=None)


def running(ledger: Ledger) -> None:
    queued(ledger)
    ledger.claim(0)


def cancelled(ledger: Ledger) -> None:
    queued(ledger)
    ledger.cancel(0, None)


def shared(ledger: Ledger) -> None:
    """The own account cannot pay, so the group's is filled and asked."""
    CreditAccount.objects.filter(user__isnull=False).update(allowance=1)


def last_month(ledger: Ledger) -> None:
    queued(ledger)
    ledger.next_month()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("before", "step", "least"),
    [
        (None, lambda ledger, death: ledger.grant(number=0, points=5, is_grant=True, death=death), 2),
        (None, lambda ledger, death: ledger.request(who=0, pictures=2, quality="high", death=death), 8),
        (shared, lambda ledger, death: ledger.request(who=0, pictures=2, quality="high", death=death), 10),
        (last_month, lambda ledger, death: ledger.request(who=0, pictures=1, quality="high", death=death), 8),
        (queued, lambda ledger, death: ledger.cancel(0, death), 4),
        (cancelled, lambda ledger, death: ledger.retry(0, by_admin=False, death=death), 8),
        (running, lambda ledger, death: ledger.deliver(0, delivered=1, death=death), 4),
        (running, lambda ledger, death: ledger.fail(0, for_good=True, death=death), 4),
        (running, lambda ledger, death: ledger.stop(0, death=death), 1),
    ],
    ids=["grant", "request", "shared account", "new month", "cancel", "retry", "deliver", "fail", "hand back"],
)
def test_death_before_any_statement_leaves_nothing_half_done(before: Any, step: Any, least: int) -> None:
    ledger = Ledger()
    for death in range(50):
        ledger.begin()
        try:
            if before is not None:
                before(ledger)
            deaths.clear()
            step(ledger, death)
            ledger.balances_are_the_sums_of_their_entries()
            ledger.every_round_is_paid_for_once_and_closed_once()
            ledger.no_month_is_filled_twice()
        finally:
            ledger.teardown()
        if not deaths:
            break
    assert least <= death < 49, "the step has too few statements to have done anything, or no end"
