"""Sets right what a dead process left behind. Every step can be repeated, by any number of processes at once.

Runs in every worker every few seconds, and as `manage.py ai_images_reconcile`.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from functools import partial

from django.db import DatabaseError, close_old_connections
from django.utils import timezone
from redis.exceptions import RedisError

from cms_ai_images import outcomes, queue
from cms_ai_images.acceptances import Acceptances
from cms_ai_images.exceptions import AIImagesError, DeadlineExceeded, WorkerLost
from cms_ai_images.models import GenerationTask
from cms_ai_images.rounds import Rounds
from cms_ai_images.types import Status

logger = logging.getLogger(__name__)

LIMIT = 500
"""Rows looked at in one pass."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """How many tasks, or pictures, each step set right, and the steps that went wrong."""

    leases: int = 0
    dispatched: int = 0
    accepted: int = 0
    failed: tuple[str, ...] = ()


def run(rounds: Rounds | None = None, acceptances: Acceptances | None = None) -> Report:
    """One pass over what may have been left behind, or, without `rounds` and `acceptances`, over all of it.

    The steps know nothing of each other: one that goes wrong is logged, and the others are carried out.
    """
    steps: dict[str, Callable[[], int]] = {
        "leases": end_lost_leases,
        "dispatched": partial(dispatch_forgotten, rounds),
        "accepted": partial(accept_forgotten, acceptances),
    }
    counts: dict[str, int] = {}
    for name, step in steps.items():
        try:
            counts[name] = step()
        except Exception:
            logger.exception("The step “%s” went wrong and will be repeated", name)
            close_old_connections()  # a broken one would spoil the next step
    return Report(**counts, failed=tuple(name for name in steps if name not in counts))


def end_lost_leases() -> int:
    """Queue again, or fail, what a worker stopped working on without saying so."""
    lost = GenerationTask.objects.filter(status=Status.RUNNING, lease_expires_at__lt=timezone.now())[:LIMIT]
    ended = 0
    for task in lost:
        try:
            ended += _end_lost_lease(task)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("The lease of task %s could not be ended", task.uuid)  # the others wait for theirs
    return ended


def _end_lost_lease(task: GenerationTask) -> bool:
    """`False` when its worker renewed it at this moment, or somebody else was faster."""
    dead_job = f"{task.uuid}-{task.attempt}"
    fence = dataclasses.replace(task.fence, lease=task.lease_expires_at)
    if task.cancel_requested_at is not None:
        was_lost = outcomes.cancelled(task, fence)
    else:
        was_lost = outcomes.failed(task, fence, _why(task)) is not None
    if was_lost:
        logger.warning("Task %s: its lease ended in attempt %d", task.uuid, task.attempt)
        try:
            queue.release(task, dead_job)
        except RedisError as error:
            logger.warning("The place of job %s is kept until Redis is back: %s", dead_job, error)
    return was_lost


def _why(task: GenerationTask) -> AIImagesError:
    """A lease is extended until the deadline: one that lasted longer was lost by a call that hangs, not by a worker."""
    deadline, lease = task.deadline_at, task.lease_expires_at
    if deadline is None or lease is None or lease < deadline or task.started_at is None:
        return WorkerLost()
    return DeadlineExceeded(seconds=round((deadline - task.started_at).total_seconds()))


def dispatch_forgotten(rounds: Rounds | None = None) -> int:
    """Enqueue the queued tasks whose time has come and whose job RQ does not know.

    With `rounds` only the next ones, so that a pass costs the same however many wait.
    """
    if rounds is not None:
        return rounds.go_on()
    rounds = Rounds()
    dispatched = rounds.go_on()
    while not rounds.is_over:
        dispatched += rounds.go_on()
    return dispatched


def accept_forgotten(acceptances: Acceptances | None = None) -> int:
    """Put into the library what was to be accepted at once, but whose worker died before it could.

    With `acceptances` only the next ones, without those that have failed lately.
    """
    if acceptances is not None:
        return acceptances.go_on()
    acceptances = Acceptances()
    accepted = acceptances.go_on()
    while not acceptances.is_over:
        accepted += acceptances.go_on()
    return accepted
