"""Budgets and limits hold to the number when many ask at the same moment, each on a connection of its own.

On SQLite by default, on PostgreSQL with `TEST_DATABASE=postgresql`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Sum

from cms_ai_images import credits, outcomes, services
from cms_ai_images.exceptions import InsufficientCredits, QueueFull, StateConflict, StorageFull, TooManyTasks
from cms_ai_images.models import CreditAccount, CreditEntry, GenerationModel, GenerationTask
from cms_ai_images.types import Status

from .asking import ask
from .conftest import make_user
from .factories import make_model, make_task, make_worker
from .threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

PRICE = 30
Kind = CreditEntry.Kind


@pytest.fixture
def model(db: None) -> GenerationModel:
    make_worker()
    return make_model(prices={"text_to_image": {"standard": PRICE}}, sizes=[[512, 512]])


def happened(jobs: list[Callable[[], Any]]) -> Counter[str]:
    """How often each thing happened to jobs that begin at the same moment."""
    return Counter(type(each).__name__ if isinstance(each, Exception) else "done" for each in at_once(jobs))


def limit(settings: Any, **limits: Any) -> None:
    everything = {"requests_per_minute": None, "active_tasks": None, **limits}
    settings.CMS_AI_IMAGES = {"CREDITS": True, "LIMITS": everything}


def account(points: int, **owner: Any) -> CreditAccount:
    """One with so many points, as the ledger has them."""
    made = CreditAccount.objects.create(**owner)
    credits.grant(CreditEntry(account=made, kind=Kind.GRANT, amount=points, note="To begin with"), by=None)
    return made


def check_ledger() -> None:
    """Every balance is the sum of its entries, and every task that there is was paid for."""
    assert list(credits.differences()) == []
    reserved = CreditEntry.objects.filter(kind=Kind.RESERVE)
    assert set(reserved.values_list("task_uuid", flat=True)) == set(
        GenerationTask.objects.values_list("uuid", flat=True)
    )


def test_a_hundred_at_once_with_points_for_ten(author: User, model: GenerationModel, settings) -> None:
    limit(settings)
    own = account(10 * PRICE + PRICE - 1, user=author)
    assert happened([lambda: ask(author)] * 100) == {"done": 10, InsufficientCredits.__name__: 90}
    own.refresh_from_db()
    assert (GenerationTask.objects.count(), own.balance) == (10, PRICE - 1)
    check_ledger()


def test_a_group_that_shares_points_for_ten(model: GenerationModel, settings) -> None:
    limit(settings)
    group = Group.objects.create(name="Sports desk")
    people = [make_user(f"editor-{number}", "cms_ai_images.generate") for number in range(10)]
    group.user_set.set(people)
    shared = account(10 * PRICE, group=group)
    jobs = [lambda person=person: ask(person) for person in people * 5]
    assert happened(jobs) == {"done": 10, InsufficientCredits.__name__: 40}
    shared.refresh_from_db()
    assert (GenerationTask.objects.count(), shared.balance) == (10, 0)
    check_ledger()


def test_the_first_use_of_a_month_comes_once(author: User, model: GenerationModel, settings) -> None:
    limit(settings)
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "MONTHLY_POINTS": 5 * PRICE}
    assert happened([lambda: ask(author)] * 30) == {"done": 5, InsufficientCredits.__name__: 25}
    assert CreditEntry.objects.filter(kind=Kind.ALLOWANCE).count() == 1
    check_ledger()


def test_tasks_at_a_time(author: User, other_author: User, model: GenerationModel, settings) -> None:
    limit(settings, active_tasks=7)
    account(100 * PRICE, user=author)
    account(100 * PRICE, user=other_author)
    jobs = [lambda: ask(author), lambda: ask(other_author)] * 25
    assert happened(jobs) == {"done": 14, TooManyTasks.__name__: 36}
    for person in (author, other_author):
        assert GenerationTask.objects.filter(user=person).count() == 7
    check_ledger()


def test_storage(author: User, model: GenerationModel, settings) -> None:
    """Three quarters of a MiB each: six fit into five MiB."""
    limit(settings, storage_mib=5)
    account(100 * PRICE, user=author)
    assert happened([lambda: ask(author)] * 30) == {"done": 6, StorageFull.__name__: 24}
    assert GenerationTask.objects.count() == 6
    check_ledger()


def test_queue_length(model: GenerationModel, settings) -> None:
    limit(settings, queue_length=12)
    people = [make_user(f"editor-{number}", "cms_ai_images.generate") for number in range(10)]
    for person in people:
        account(100 * PRICE, user=person)
    jobs = [lambda person=person: ask(person) for person in people * 4]
    assert happened(jobs) == {"done": 12, QueueFull.__name__: 28}
    assert GenerationTask.objects.count() == 12
    check_ledger()


def test_the_same_request_is_one_task_and_paid_for_once(author: User, model: GenerationModel, settings) -> None:
    limit(settings)
    own = account(10 * PRICE, user=author)
    assert happened([lambda: ask(author, seed=7)] * 30) == {"done": 30}
    own.refresh_from_db()
    assert (GenerationTask.objects.count(), own.balance) == (1, 9 * PRICE)
    check_ledger()


def test_a_retry_is_charged_once(author: User, admin: User, model: GenerationModel, settings) -> None:
    limit(settings)
    own = account(10 * PRICE, user=author)
    task = services.cancel(author, ask(author))
    people = [author, admin] * 10
    jobs = [lambda who=who: services.retry(who, GenerationTask.objects.get(pk=task.pk)) for who in people]
    ends = happened(jobs)
    assert ends["done"] == 1
    assert set(ends) == {"done", StateConflict.__name__}
    own.refresh_from_db()
    assert own.balance == 9 * PRICE
    check_ledger()


def test_ends_and_requests_at_the_same_moment_add_up(author: User, model: GenerationModel, settings) -> None:
    """Half of what is at work ends in every possible way while just as much is asked for."""
    limit(settings, active_tasks=40)
    own = account(40 * PRICE, user=author)
    running = []
    for _ in range(20):
        task = make_task(author, model, status=Status.RUNNING, cost=PRICE)
        with transaction.atomic():
            credits.reserve(task)
        running.append(task)

    def succeed(task: GenerationTask) -> None:
        assert outcomes.succeeded(task, task.fence, delivered=1, model_revision="")

    def cancel(task: GenerationTask) -> None:
        assert outcomes.cancelled(task, task.fence)

    ends = [lambda task=task: (succeed if task.pk % 2 else cancel)(task) for task in running]
    what = happened([job for pair in zip(ends, [lambda: ask(author)] * 20, strict=True) for job in pair])
    assert set(what) <= {"done", InsufficientCredits.__name__}
    own.refresh_from_db()
    spent = -CreditEntry.objects.exclude(kind=Kind.GRANT).aggregate(all=Sum("amount"))["all"]
    assert own.balance == 40 * PRICE - spent >= 0
    check_ledger()


@pytest.mark.parametrize("choice", ["keep", "anonymise", "remove"])
def test_somebody_is_deleted_while_their_tasks_end(
    author: User, model: GenerationModel, settings: Any, choice: str
) -> None:
    """Workers lock a task and then the account; whoever deletes the author must not do it the other way round."""
    limit(settings)
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "DELETED_USER_PROMPTS": choice}
    own = account(40 * PRICE, user=author)
    running = []
    for _ in range(30):
        task = make_task(author, model, status=Status.RUNNING, cost=PRICE)
        with transaction.atomic():
            credits.reserve(task)
        running.append(task)

    def succeed(task: GenerationTask) -> None:
        with transaction.atomic():
            assert outcomes.succeeded(task, task.fence, delivered=0, model_revision="")

    ends = [lambda task=task: succeed(task) for task in running]
    assert happened([*ends[:15], author.delete, *ends[15:]]) == {"done": 31}
    own.refresh_from_db()
    assert (own.user, own.balance) == (None, 40 * PRICE)
    check_ledger()
