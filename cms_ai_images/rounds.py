"""Looks after the waiting tasks, some at each pass, round and round, and dispatches those whose job RQ has lost."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone
from redis.exceptions import RedisError

from cms_ai_images import bells, queue
from cms_ai_images.connections import configured_queues
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Status

logger = logging.getLogger(__name__)

GRACE = timedelta(seconds=2)
"""How long a fresh task's own dispatch may take before somebody else does it."""
WINDOW = 500
"""Waiting tasks of one queue that are looked at in one pass. A pass costs the same however many wait."""


class Rounds:
    """Where a process is in its rounds: for each queue the last task that it has looked at, in claiming order."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], tuple[datetime, int]] = {}

    @property
    def is_over(self) -> bool:
        """Whether every waiting task has been looked at since the round began."""
        return not self._last

    def go_on(self) -> int:
        """Look at the next tasks of every queue. Returns how many were dispatched."""
        dispatched = 0
        for pool, priority in configured_queues():
            tasks = self._next(pool, priority)
            self._last.pop((pool, priority), None)
            if len(tasks) == WINDOW:
                self._last[pool, priority] = tasks[-1].available_at, tasks[-1].pk
            try:
                dispatched += _look_after(pool, priority, tasks)
            except RedisError as error:
                logger.warning("Redis is away; pool %s waits: %s", pool, error)
                self._last.pop((pool, priority), None)
        return dispatched

    def _next(self, pool: str, priority: int) -> list[GenerationTask]:
        """A page of the index of queued rows."""
        now = timezone.now()
        waiting = GenerationTask.objects.filter(
            status=Status.QUEUED, pool=pool, priority=priority, available_at__lte=now, created_at__lt=now - GRACE
        )
        if last := self._last.get((pool, priority)):
            available_at, pk = last
            waiting = waiting.filter(available_at__gte=available_at).filter(
                Q(available_at__gt=available_at) | Q(pk__gt=pk)
            )
        return list(waiting.order_by("available_at", "pk")[:WINDOW])


def _look_after(pool: str, priority: int, tasks: list[GenerationTask]) -> int:
    """Dispatch those whose job is lost, and let those move on that RQ holds back for nothing."""
    if not tasks:
        return 0
    lost = bells.lost(pool, priority, tasks)
    bells.free_places(pool, set(tasks) - set(lost))
    for task in lost:
        queue.release(task, queue.job_id(task))
    return sum(queue.dispatch(task) for task in lost)
