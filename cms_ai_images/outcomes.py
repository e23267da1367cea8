"""How an attempt ends. Used by the worker that ran it, and by the reconciler for a worker that cannot say any more.

Each outcome is one transaction: the guarded change of the row, what it means for the author's points, and who is told.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from cms_ai_images import conf, credits, lifecycle, queue
from cms_ai_images.exceptions import AIImagesError, DeviceLost
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Fence, Status
from cms_ai_images.webhooks import outbox


def succeeded(task: GenerationTask, fence: Fence, *, delivered: int, model_revision: str) -> bool:
    """The pictures are stored. Call inside the transaction that wrote their rows; `False` when the claim was lost."""
    if not lifecycle.transition(
        task,
        Status.SUCCEEDED,
        fence=fence,
        model_revision=model_revision,
        error_code="",
        error_message="",
        error_params={},
    ):
        return False
    credits.settle(task, delivered)
    outbox.note(task, Status.SUCCEEDED, pictures=delivered)
    return True


def failed(task: GenerationTask, fence: Fence, error: AIImagesError) -> Status | None:
    """An attempt did not work out: try again after a pause while that can help, else fail and refund.

    Returns the new status, or `None` when the claim was lost meanwhile.
    """
    counts = {"failures": task.failures, "device_losses": task.device_losses}
    counted, most = "failures", "MAX_FAILURES"
    if isinstance(error, DeviceLost):  # mostly the machine's fault, and a picture's only now and then
        counted, most = "device_losses", "MAX_DEVICE_LOSSES"
    counts[counted] += 1
    reason: dict[str, Any] = {
        "error_code": error.code,
        "error_message": str(error),
        "error_params": error.plain_params,
        **counts,
    }
    if error.retryable and counts[counted] < conf.get(most):
        available_at = timezone.now() + timedelta(seconds=_pause(sum(counts.values())))
        return _queue_again(task, fence, available_at=available_at, **reason)
    with transaction.atomic():
        if not lifecycle.transition(task, Status.FAILED, fence=fence, **reason):
            return None
        credits.refund(task)
        outbox.note(task, Status.FAILED, error=error)
    return Status.FAILED


def cancelled(task: GenerationTask, fence: Fence | None = None) -> bool:
    """Its owner no longer wants it: without a fence while it waits, with the worker's while it runs."""
    with transaction.atomic():
        source = Status.QUEUED if fence is None else Status.RUNNING
        as_read = {"charge_round": task.charge_round}  # else this would refund another round than the last
        if not lifecycle.transition(task, Status.CANCELLED, source=source, fence=fence, guard=as_read):
            return False
        credits.refund(task)
        outbox.note(task, Status.CANCELLED)
    return True


def handed_back(task: GenerationTask, fence: Fence) -> Status | None:
    """A worker that must stop returns its task; that is nobody's failure. Returns as `failed` does.

    Its bell rings anew at once: the reconciler, which looks after everything that waits, may come by late.
    """
    status = _queue_again(task, fence)
    if status is Status.QUEUED:
        transaction.on_commit(partial(queue.dispatch, task), robust=True)
    return status


def _queue_again(task: GenerationTask, fence: Fence, **changes: Any) -> Status | None:
    """Back to the queue, unless its owner has cancelled it in the meantime: the next claim would forget that."""
    guard = {"cancel_requested_at": None}
    if lifecycle.transition(
        task, Status.QUEUED, source=Status.RUNNING, fence=fence, guard=guard, worker=None, **changes
    ):
        return Status.QUEUED
    return Status.CANCELLED if cancelled(task, fence) else None


def _pause(failures: int) -> float:
    """Seconds to wait before the next attempt; the last pause of the list repeats."""
    pauses = conf.get("RETRY_PAUSES_SECONDS")
    return float(pauses[min(failures, len(pauses)) - 1])
