"""Points: reserved with the request, settled or refunded with its outcome, in the same transaction.

The ledger is append-only, and unique per task, charge round and kind: repeating a step pays nothing twice. With the
setting `CREDITS` off nothing here does anything.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F

from cms_ai_images import conf
from cms_ai_images.exceptions import InsufficientCredits
from cms_ai_images.models import CreditAccount, CreditEntry, GenerationTask


def reserve(task: GenerationTask) -> None:
    """Take the task's cost from its author's account, or raise `InsufficientCredits`. Call inside the transaction.

    The task of a deleted author, which an operator may retry, is charged to nobody.
    """
    if not conf.get("CREDITS") or not task.cost or task.user is None:
        return
    account, _created = CreditAccount.objects.get_or_create(user=task.user)
    taken = CreditAccount.objects.filter(pk=account.pk, balance__gte=task.cost).update(balance=F("balance") - task.cost)
    if not taken:
        raise InsufficientCredits(cost=task.cost, balance=account.balance)
    _write(task, account, CreditEntry.Kind.RESERVE, -task.cost)


def balance(user: Any) -> int | None:
    """The points that this user has left; `None` where pictures cost nothing."""
    if not conf.get("CREDITS"):
        return None
    account = CreditAccount.objects.filter(user=user).first()
    return account.balance if account else 0


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
    CreditEntry.objects.create(
        account=account,
        kind=kind,
        amount=amount,
        task_uuid=task.uuid,
        charge_round=task.charge_round,
        model_label=task.model_label,
        operation=task.operation,
    )
