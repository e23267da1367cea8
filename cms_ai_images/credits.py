"""Points: reserved with the request, settled or refunded with its outcome, in the same transaction.

The ledger is append-only, and unique per task, charge round and kind: repeating a step pays nothing twice. A person's
own account pays where it can, else that of one of their groups; what comes back goes to where it came from. With the
setting `CREDITS` off nothing here is charged.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Max, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext

from cms_ai_images import audit, conf
from cms_ai_images.exceptions import InsufficientCredits
from cms_ai_images.models import CreditAccount, CreditEntry, GenerationTask, GroupLimits


def lock(user: Any) -> CreditAccount:
    """The person's own account, made where there is none, and theirs alone until the transaction ends.

    Here their requests wait for each other, whether or not points are counted, so that what is counted under this
    lock (tasks at a time, storage) holds to the number.
    """
    no_key = connection.features.has_select_for_no_key_update  # entries that name it need not wait
    account, _created = CreditAccount.objects.select_for_update(no_key=no_key).get_or_create(user=user)
    return account


def reserve(task: GenerationTask, own: CreditAccount | None = None) -> None:
    """Take the task's cost from an account of its author, or raise `InsufficientCredits`. Call inside the transaction.

    `own` is the author's account where it is locked already. The task of a deleted author, which an operator may retry,
    is charged to nobody.
    """
    if not conf.get("CREDITS") or not task.cost or task.user is None:
        return
    most = 0
    for account in _payers(task.user, own or lock(task.user)):
        if account.balance >= task.cost:
            CreditAccount.objects.filter(pk=account.pk).update(balance=F("balance") - task.cost)
            _write(task, account, CreditEntry.Kind.RESERVE, -task.cost)
            return
        most = max(most, account.balance)
    raise InsufficientCredits(cost=task.cost, balance=most)


def settle(task: GenerationTask, delivered: int) -> None:
    """Give back the share of the pictures that were not delivered; `delivered` counts pictures."""
    asked = task.parameters["num_images"]
    _give_back(task, CreditEntry.Kind.SETTLE, task.cost - task.cost * min(delivered, asked) // asked)


def refund(task: GenerationTask) -> None:
    """Give everything back, once."""
    _give_back(task, CreditEntry.Kind.REFUND, task.cost)


def grant(entry: CreditEntry, *, by: Any) -> None:
    """Write an administrator's grant or correction and move the balance, which never goes below zero."""
    entry.created_by = by
    with transaction.atomic():
        rows = CreditAccount.objects.filter(pk=entry.account_id, balance__gte=-entry.amount)
        if not rows.update(balance=F("balance") + entry.amount):
            raise InsufficientCredits(cost=-entry.amount, balance=entry.account.balance)
        entry.save()
        audit.record(
            audit.Action.BALANCE_CHANGED, entry.account, by=by, reason=entry.note, kind=entry.kind, amount=entry.amount
        )


def differences() -> Iterator[tuple[CreditAccount, int]]:
    """The accounts whose balance is not the sum of their entries, and that sum. The database adds up, in one look."""
    booked = Coalesce(Sum("entries__amount"), 0)
    accounts = CreditAccount.objects.select_related("user", "group").annotate(booked=booked)
    for account in accounts.exclude(balance=F("booked")).order_by("pk").iterator(chunk_size=500):
        yield account, account.booked


def repair(account: CreditAccount) -> bool:
    """Make a balance what its entries say; `False` where that is less than nothing, which no balance can be."""
    with transaction.atomic():
        locked = CreditAccount.objects.select_for_update().get(pk=account.pk)
        booked = locked.entries.aggregate(all=Coalesce(Sum("amount"), 0))["all"]
        if booked < 0:
            return False
        CreditAccount.objects.filter(pk=account.pk).update(balance=booked)
        reason = gettext("Repaired: the balance was %(balance)d") % {"balance": locked.balance}
        audit.record(audit.Action.BALANCE_CHANGED, locked, by=None, reason=reason, kind="repair")
    return True


def balance(user: Any) -> int | None:
    """The most points that this person can spend in one go; `None` where pictures cost nothing."""
    return summary(user)["balance"]


def summary(user: Any) -> dict[str, Any]:
    """What somebody may know of their points: {enabled, balance, low, own, groups}.

    `balance` can be spent in one go, `own` is {balance, monthly}, `groups` are {name, balance, monthly} of each shared
    account. What this month's first use will add is counted, and nothing is written by asking.
    """
    if not conf.get("CREDITS"):
        return {"enabled": False, "balance": None, "low": False, "own": None, "groups": []}
    account = CreditAccount.objects.filter(user=user).first() or CreditAccount(user=user)
    own: dict[str, Any] = _account_json(account)
    groups: list[dict[str, Any]] = [{"name": str(account), **_account_json(account)} for account in _shared(user)]
    most = max(each["balance"] for each in (own, *groups))
    return {"enabled": True, "balance": most, "low": most < conf.get("LOW_BALANCE"), "own": own, "groups": groups}


def _account_json(account: CreditAccount) -> dict[str, int]:
    monthly = _monthly_points(account)
    missing = 0 if _is_filled(account) else max(0, monthly - account.balance)
    return {"balance": account.balance + missing, "monthly": monthly}


def _payers(user: Any, own: CreditAccount) -> Iterator[CreditAccount]:
    """The accounts that may pay, locked and filled for this month: a group's is not touched unless it is needed."""
    _fill(own)
    yield own
    for account in _shared(user).select_for_update(of=("self",)):
        _fill(account)
        yield account


def _shared(user: Any) -> QuerySet[CreditAccount]:
    """The accounts of this person's groups, in the order in which they pay and are locked."""
    return (
        CreditAccount.objects.filter(group__in=user.groups.order_by().values("pk"))
        .select_related("group")
        .order_by("pk")
    )


def _monthly_points(account: CreditAccount) -> int:
    """An account's allowance: its own, else, of somebody's own account, the most of their groups', else the site's."""
    if account.allowance is not None or account.group_id:
        return account.allowance or 0
    most = GroupLimits.objects.filter(group__user=account.user).aggregate(most=Max("monthly_points"))["most"]
    return int(conf.get("MONTHLY_POINTS") if most is None else most)


def _is_filled(account: CreditAccount) -> bool:
    """Whether this month has had its first use."""
    return account.filled_for is not None and account.filled_for >= _this_month()


def _fill(account: CreditAccount) -> None:
    """Add what is missing from the month's allowance, once. What was left over fills it, too: it does not pile up.

    An allowance that comes in the middle of a month counts from then on.
    """
    if _is_filled(account) or not (monthly := _monthly_points(account)):
        return
    month, amount = _this_month(), max(0, monthly - account.balance)
    CreditAccount.objects.filter(pk=account.pk).update(balance=F("balance") + amount, filled_for=month)
    account.balance += amount
    if amount:
        CreditEntry.objects.create(account=account, kind=CreditEntry.Kind.ALLOWANCE, amount=amount, month=month)


def _this_month() -> date:
    """Its first day, in the site's time zone: an account has the same month for all of a group."""
    return timezone.localdate(timezone=timezone.get_default_timezone()).replace(day=1)


def _give_back(task: GenerationTask, kind: CreditEntry.Kind, amount: int) -> None:
    # What was reserved is paid back even if credits were turned off meanwhile, so the ledger is asked, not the setting.
    reservation = CreditEntry.objects.filter(
        task_uuid=task.uuid, charge_round=task.charge_round, kind=CreditEntry.Kind.RESERVE
    ).first()
    if reservation is None:
        return
    with transaction.atomic():
        CreditAccount.objects.filter(pk=reservation.account_id).update(balance=F("balance") + amount)
        _write(task, reservation.account, kind, amount)


def _write(task: GenerationTask, account: CreditAccount, kind: CreditEntry.Kind, amount: int) -> None:
    # Who spent is told once: when a worker settles, its task's author may have been deleted meanwhile.
    spender = task.user_id if kind == CreditEntry.Kind.RESERVE else None
    CreditEntry.objects.create(
        account=account,
        kind=kind,
        amount=amount,
        task_uuid=task.uuid,
        charge_round=task.charge_round,
        model_label=task.model_label,
        operation=task.operation,
        created_by_id=spender,
    )
