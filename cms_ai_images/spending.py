"""What was spent: sums over the ledger, taken by the database and bounded by a range of months.

A reservation counts in the month in which it was made, less what came back of it, whenever that was. So an open task
counts in full, a failed one not at all, and the sum of a month never changes because of a task of another one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Case, Count, DateField, F, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce, TruncMonth
from django.utils import timezone

from cms_ai_images.models import CreditEntry

MAX_MONTHS = 36
"""Longest range. A month costs what it holds, not what the table holds."""
DEFAULT_MONTHS = 6
TOP = 100
"""Lines of one list; the rest is one sum."""

USERNAME = get_user_model().USERNAME_FIELD
Kind = CreditEntry.Kind


@dataclasses.dataclass(frozen=True, kw_only=True)
class Period:
    """Whole months in the site's time zone, given by the first day of the first and of the last one."""

    first: date
    last: date

    @classmethod
    def default(cls) -> Period:
        """This month and some before it."""
        this = this_month()
        return cls(first=months_after(this, 1 - DEFAULT_MONTHS), last=this)

    @property
    def months(self) -> list[date]:
        """The first day of each; empty where the first month is later than the last one."""
        return [months_after(self.first, number) for number in range(_number(self.last) - _number(self.first) + 1)]

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From when, and until before when."""
        return _midnight(self.first), _midnight(months_after(self.last, 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """One sum. `key` is a primary key, a label or a date; `None` stands for deleted users, or for no group."""

    key: Any
    label: str
    tasks: int
    points: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sums:
    """The largest lines of a list, and the sums of all of it."""

    lines: list[Line]
    tasks: int
    points: int

    @property
    def others(self) -> Line | None:
        """What is not among the lines, together; `None` where everything is."""
        tasks = self.tasks - sum(line.tasks for line in self.lines)
        points = self.points - sum(line.points for line in self.lines)
        return Line(key=None, label="", tasks=tasks, points=points) if points else None


def by_month(period: Period, user: Any = None) -> Sums:
    """A line for each month, the first one first. `user` narrows this and the others to one person's spending."""
    rows = _spent(period, user).annotate(key=_month())
    found = {row["key"]: row for row in _summed(rows, label=F("key"))}
    lines = []
    for month in period.months:
        row = found.get(month, {"tasks": 0, "points": 0})
        lines.append(Line(key=month, label=f"{month:%Y-%m}", tasks=row["tasks"], points=row["points"]))
    return Sums(lines=lines, tasks=sum(line.tasks for line in lines), points=sum(line.points for line in lines))


def by_user(period: Period, user: Any = None) -> Sums:
    """By who asked for the pictures. Of deleted people the account may still know the name."""
    of_account = Case(When(account__group=None, then=F("account__label")), default=Value(""))
    rows = _spent(period, user).annotate(key=F("created_by"))
    return _largest(rows, Coalesce(f"created_by__{USERNAME}", of_account))


def by_group(period: Period, user: Any = None) -> Sums:
    """By the group whose account was charged then."""
    rows = _spent(period, user).filter(_charged_to_group())
    return _largest(rows.annotate(key=F("account__group")), Coalesce("account__group__name", "account__label"))


def by_members(period: Period, user: Any = None) -> Sums:
    """By the groups that people are members of today, whichever account paid; in each of several they count."""
    rows = _spent(period, user).filter(created_by__isnull=False)
    return _largest(rows.annotate(key=F("created_by__groups")), F("created_by__groups__name"))


def by_model(period: Period, user: Any = None) -> Sums:
    """By the model, as it was called then."""
    return _largest(_spent(period, user).annotate(key=F("model_label")), F("model_label"))


DIMENSIONS: dict[str, Callable[..., Sums]] = {
    "month": by_month,
    "user": by_user,
    "group": by_group,
    "members": by_members,
    "model": by_model,
}
"""What spending can be summed up by."""

COLUMNS = ("month", "user", "account", "model", "operation", "tasks", "points")


def table(period: Period) -> Iterator[list[tuple[Any, ...]]]:
    """Everything that can be summed up further, as rows of `COLUMNS`; a month, which is a query, at a time."""
    for month in period.months:
        rows = _spent(Period(first=month, last=month)).annotate(key=F("model_label"), group=F("account__group__name"))
        by = ("created_by__" + USERNAME, "group", "account__label", "operation")
        yield [
            (
                f"{month:%Y-%m}",
                row["created_by__" + USERNAME] or "",
                row["group"] or row["account__label"],
                row["key"],
                row["operation"],
                row["tasks"],
                row["points"],
            )
            for row in _summed(rows, *by, label=F("key"))
        ]


def months_after(month: date, number: int) -> date:
    """The first day of the month that is `number` months later."""
    year, index = divmod(_number(month) + number, 12)
    return date(year, index + 1, 1)


def this_month() -> date:
    """Its first day, in the site's time zone."""
    return timezone.localdate(timezone=timezone.get_default_timezone()).replace(day=1)


def first_month() -> date:
    """The month in which something was first spent, else this one."""
    first = (
        CreditEntry.objects.filter(kind=Kind.RESERVE).order_by("created_at").values_list("created_at", flat=True)[:1]
    )
    moment = next(iter(first), None)
    return timezone.localdate(moment, timezone.get_default_timezone()).replace(day=1) if moment else this_month()


def _spent(period: Period, user: Any = None) -> QuerySet[CreditEntry]:
    """The reservations of these months, each with the `spent` points that remain of it."""
    since, until = period.span
    closing = CreditEntry.objects.filter(
        task_uuid=OuterRef("task_uuid"), charge_round=OuterRef("charge_round"), kind__in=[Kind.SETTLE, Kind.REFUND]
    ).order_by()  # at most one: a constraint says so
    rows = CreditEntry.objects.filter(kind=Kind.RESERVE, created_at__gte=since, created_at__lt=until).order_by()
    if user is not None:
        rows = rows.filter(created_by=user)
    return rows.annotate(spent=-F("amount") - Coalesce(Subquery(closing.values("amount")[:1]), 0))


def _summed(rows: QuerySet[CreditEntry], *by: str, label: Any) -> QuerySet[Any, dict[str, Any]]:
    """Grouped by `key`, `name` and what else is named, the largest sum first. What came back whole is no task."""
    grouped = rows.annotate(name=label).values("key", "name", *by)
    sums = grouped.annotate(points=Sum("spent"), tasks=Count("pk", filter=Q(spent__gt=0)))
    return sums.filter(points__gt=0).order_by("-points", "name")


def _largest(rows: QuerySet[CreditEntry], label: Any) -> Sums:
    lines = [
        Line(key=row["key"], label=str(row["name"] or ""), tasks=row["tasks"], points=row["points"])
        for row in _summed(rows, label=label)[:TOP]
    ]
    tasks, points = sum(line.tasks for line in lines), sum(line.points for line in lines)
    if len(lines) < TOP:
        return Sums(lines=lines, tasks=tasks, points=points)
    all_ = rows.aggregate(points=Sum("spent"), tasks=Count("pk", filter=Q(spent__gt=0)))
    return Sums(lines=lines, tasks=all_["tasks"], points=all_["points"])


def _charged_to_group() -> Q:
    """The account of a person has a user; what neither has any more, but a spender, was a group's."""
    return Q(account__group__isnull=False) | Q(account__user__isnull=True, created_by__isnull=False)


def _month() -> TruncMonth:
    return TruncMonth("created_at", tzinfo=timezone.get_default_timezone(), output_field=DateField())


def _number(month: date) -> int:
    return month.year * 12 + month.month - 1


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min), timezone.get_default_timezone())
