"""The only code that changes a task's status: one guarded UPDATE, whose row count says whether it happened."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from cms_ai_images import progress
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Fence, Status

SOURCES: dict[Status, frozenset[Status]] = {
    # A claim.
    Status.RUNNING: frozenset({Status.QUEUED}),
    # A lost lease or a passing error; a retry by a person.
    Status.QUEUED: frozenset({Status.RUNNING, Status.FAILED, Status.CANCELLED}),
    Status.SUCCEEDED: frozenset({Status.RUNNING}),
    Status.FAILED: frozenset({Status.RUNNING}),
    Status.CANCELLED: frozenset({Status.QUEUED, Status.RUNNING}),
}
"""From where each status may be reached."""


def transition(
    task: GenerationTask,
    to: Status,
    *,
    source: Status | None = None,
    fence: Fence | None = None,
    guard: dict[str, Any] | None = None,
    **changes: Any,
) -> bool:
    """Move a task; `False` when somebody else was faster, and then nothing was written.

    `source` narrows the states to move from. `fence` is required of workers: without the claim they lost, their
    write must not count. `guard` adds conditions to the UPDATE, `changes` sets further columns. Whoever watches the
    task is told after the commit.
    """
    sources = SOURCES[to] if source is None else SOURCES[to] & {source}
    rows = GenerationTask.objects.filter(pk=task.pk, status__in=sources, **(guard or {}))
    if fence is not None:
        rows = rows.filter(worker_id=fence.worker_id, attempt=fence.attempt)
        if fence.lease is not None:
            rows = rows.filter(lease_expires_at=fence.lease)
    if to is not Status.RUNNING:
        changes.setdefault("lease_expires_at", None)
        changes.setdefault("deadline_at", None)
    if to in Status.final():
        changes.setdefault("finished_at", timezone.now())
    moved = rows.update(status=to, **changes) == 1
    if moved:
        transaction.on_commit(partial(progress.announce, task.pool, task.uuid), robust=True)
    return moved


def claim(task: GenerationTask, *, worker_id: int, lease: datetime, deadline: datetime) -> bool:
    """Take a queued task whose time has come. The attempt grows, which fences every earlier claim off.

    The task is as it was read, or it is not taken: `attempt` and `charge_round` tell. So what the claim changes is
    known, and the task need not be read again.
    """
    now = timezone.now()
    claimed: dict[str, Any] = {
        "worker_id": worker_id,
        "attempt": task.attempt + 1,
        "lease_expires_at": lease,
        "deadline_at": deadline,
        "started_at": now,
        "cancel_requested_at": None,
    }
    as_read = {"available_at__lte": now, "attempt": task.attempt, "charge_round": task.charge_round}
    if not transition(task, Status.RUNNING, guard=as_read, **claimed):
        return False
    for name, value in {"status": Status.RUNNING, **claimed}.items():
        setattr(task, name, value)
    return True


def extend_lease(fence: Fence, *, lease: datetime, deadline: datetime | None = None) -> bool:
    """Keep a claim; `False` when it is no longer ours."""
    changes: dict[str, Any] = {"lease_expires_at": lease}
    if deadline is not None:
        changes["deadline_at"] = deadline
    return (
        GenerationTask.objects.filter(
            pk=fence.task_id, status=Status.RUNNING, worker_id=fence.worker_id, attempt=fence.attempt
        ).update(**changes)
        == 1
    )
