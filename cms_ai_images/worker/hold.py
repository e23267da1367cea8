"""One claimed task, as the drawing, the landing and the heartbeat thread share it.

A lease is extended only until the deadline, so a GPU call that hangs loses its task although the process lives.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from cms_ai_images import conf, lifecycle
from cms_ai_images.exceptions import DeadlineExceeded, LeaseLost, TaskCancelled, WorkerStopping
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Fence, Status


class Hold:
    """A claim with its lease and its deadline, which may be moved, for example when drawing begins.

    `seconds` are what its task may take to be drawn.
    """

    def __init__(self, uuid: UUID, fence: Fence, deadline: datetime, seconds: float) -> None:
        self.uuid = uuid
        self.fence = fence
        self.time_limit = seconds
        self.set_deadline(deadline, seconds)
        self._cancelled = threading.Event()
        self._lost = threading.Event()
        self._stopping = threading.Event()
        self._lease_ends = time.monotonic() + conf.get("LEASE_SECONDS")

    def set_deadline(self, deadline: datetime, seconds: float) -> None:
        """Begin a stage of the work that may take so many seconds."""
        self.deadline, self._seconds = deadline, seconds
        left = (deadline - timezone.now()).total_seconds()
        self._hangs_from = time.monotonic() + left + conf.get("LEASE_SECONDS")

    @property
    def seconds_left(self) -> float:
        """Until the deadline; 0 after it."""
        return max(0.0, (self.deadline - timezone.now()).total_seconds())

    @property
    def is_overdue(self) -> bool:
        """Whether the work has gone on for a whole lease after its deadline: nobody calls `check` any more."""
        return time.monotonic() > self._hangs_from

    def cancel(self) -> None:
        """Its owner no longer wants it: the next check raises `TaskCancelled`."""
        self._cancelled.set()

    def hand_back(self) -> None:
        """The worker must go: the next check raises `WorkerStopping`."""
        self._stopping.set()

    def check(self, *, drawn: bool = False) -> None:
        """Raise when the work must stop. Cheap: called after each step. What is `drawn` is not handed back."""
        if self._lost.is_set() or time.monotonic() > self._lease_ends:
            raise LeaseLost
        if self._cancelled.is_set():
            raise TaskCancelled
        if self._stopping.is_set() and not drawn:
            raise WorkerStopping
        if timezone.now() > self.deadline:
            raise DeadlineExceeded(seconds=self._seconds)

    def beat(self) -> None:
        """Extend the lease in the database, and learn of a cancellation there."""
        now = timezone.now()
        if now > self.deadline:
            return
        begun = time.monotonic()
        seconds = conf.get("LEASE_SECONDS")
        if not lifecycle.extend_lease(self.fence, lease=now + timedelta(seconds=seconds)):
            self._lost.set()
            return
        self._lease_ends = begun + seconds
        rows = GenerationTask.objects.filter(pk=self.fence.task_id, status=Status.RUNNING)
        if rows.filter(cancel_requested_at__isnull=False).exists():
            self.cancel()
