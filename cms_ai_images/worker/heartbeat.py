"""Signs of life: the worker's row, and the lease of the task it holds.

A lease is extended only until the task's deadline, so a GPU call that hangs loses the task although this thread lives.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from cms_ai_images import conf, lifecycle
from cms_ai_images.exceptions import DeadlineExceeded, LeaseLost, TaskCancelled
from cms_ai_images.models import GenerationTask, Worker
from cms_ai_images.types import Fence, Status

logger = logging.getLogger(__name__)


class Hold:
    """One claimed task, as its step callback and the heartbeat thread share it."""

    def __init__(self, fence: Fence, deadline: datetime) -> None:
        self.fence = fence
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._lost = threading.Event()
        self.set_deadline(deadline)
        self._lease_ends = time.monotonic() + conf.get("LEASE_SECONDS")

    def set_deadline(self, deadline: datetime) -> None:
        """Move the deadline, for example when the model is loaded and drawing begins."""
        with self._lock:
            self.deadline = deadline

    def cancel(self) -> None:
        """Let the next check end the work."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise when the work must stop. Cheap: called after each step."""
        if self._lost.is_set() or time.monotonic() > self._lease_ends:
            raise LeaseLost
        if self._cancelled.is_set():
            raise TaskCancelled
        if timezone.now() > self.deadline:
            raise DeadlineExceeded(seconds=conf.get("TASK_TIMEOUT_SECONDS"))

    def beat(self) -> None:
        """Extend the lease in the database, and learn of a cancellation there."""
        with self._lock:
            deadline = self.deadline
        seconds = conf.get("LEASE_SECONDS")
        now = timezone.now()
        if now > deadline:
            return
        begun = time.monotonic()
        lease = min(now + timedelta(seconds=seconds), deadline + timedelta(seconds=seconds))
        if not lifecycle.extend_lease(self.fence, lease=lease):
            self._lost.set()
            return
        self._lease_ends = begun + seconds
        rows = GenerationTask.objects.filter(pk=self.fence.task_id, status=Status.RUNNING)
        if rows.filter(cancel_requested_at__isnull=False).exists():
            self.cancel()


class Heartbeat(threading.Thread):
    """Beats every `HEARTBEAT_SECONDS` on a database connection of its own, and survives a database restart."""

    def __init__(self, worker_id: int) -> None:
        super().__init__(name="ai-images-heartbeat", daemon=True)
        self.worker_id = worker_id
        self._hold: Hold | None = None
        self._stop_requested = threading.Event()

    def run(self) -> None:
        """Beat until stopped. A failed beat is tried again; the lease's own end guards against a long silence."""
        while not self._stop_requested.wait(conf.get("HEARTBEAT_SECONDS")):
            close_old_connections()
            try:
                Worker.objects.filter(pk=self.worker_id).update(heartbeat_at=timezone.now())
                if hold := self._hold:
                    hold.beat()
            except DatabaseError as error:
                logger.warning("A heartbeat could not be written: %s", error)
                connection.close()
        connection.close()

    @contextmanager
    def holding(self, hold: Hold) -> Iterator[Hold]:
        """Keep a claim's lease alive inside the block."""
        self._hold = hold
        try:
            yield hold
        finally:
            self._hold = None

    def stop(self) -> None:
        """End the thread after the current beat."""
        self._stop_requested.set()
        self.join(timeout=5)
