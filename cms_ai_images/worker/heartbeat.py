"""Signs of life: the worker's row, and the leases of the tasks it holds.

Nothing here asks Redis: one that does not answer must not cost a lease.
"""

from __future__ import annotations

import logging
import threading
from uuid import UUID

from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from cms_ai_images import conf
from cms_ai_images.models import Worker
from cms_ai_images.worker.hold import Hold

logger = logging.getLogger(__name__)


class Heartbeat(threading.Thread):
    """Beats every `HEARTBEAT_SECONDS` on a database connection of its own, and survives a database restart."""

    def __init__(self, worker_id: int) -> None:
        super().__init__(name="ai-images-heartbeat", daemon=True)
        self.worker_id = worker_id
        self._holds: set[Hold] = set()
        self._lock = threading.Lock()
        self._stop_requested = threading.Event()
        self.is_closing = False
        """Whether everything is handed back, because this process ends."""

    def run(self) -> None:
        """Beat until stopped. A failed beat is tried again; the lease's own end guards against a long silence."""
        while not self._stop_requested.wait(conf.get("HEARTBEAT_SECONDS")):
            close_old_connections()
            try:
                self.beat()
            except DatabaseError as error:
                logger.warning("A heartbeat could not be written: %s", error)
                connection.close()
            except Exception:
                logger.exception("A heartbeat failed and will be repeated")
                connection.close()
        connection.close()

    def beat(self) -> None:
        """Say that this worker lives, and extend what it holds."""
        Worker.objects.filter(pk=self.worker_id).update(heartbeat_at=timezone.now())
        for hold in self.held():
            hold.beat()

    def held(self) -> list[Hold]:
        """The claims that this worker has."""
        with self._lock:
            return list(self._holds)

    def overdue(self) -> set[Hold]:
        """Those whose work hangs: it should have ended a lease ago."""
        return {hold for hold in self.held() if hold.is_overdue}

    def keep(self, hold: Hold) -> None:
        """Extend this claim's lease from now on."""
        with self._lock:
            self._holds.add(hold)

    def release(self, hold: Hold) -> None:
        """Stop extending it: its task has ended, or is no longer ours."""
        with self._lock:
            self._holds.discard(hold)

    def cancel(self, uuid: UUID, attempt: int) -> None:
        """Whose pictures this attempt would make no longer wants them. Nothing, where somebody else makes it."""
        for hold in self.held():
            if (hold.uuid, hold.fence.attempt) == (uuid, attempt):
                hold.cancel()

    def hand_back(self) -> None:
        """Let everything that is still being drawn go back to the queue, within a step."""
        self.is_closing = True
        for hold in self.held():
            hold.hand_back()

    def stop(self) -> None:
        """End the thread after the current beat."""
        self._stop_requested.set()
        self.join(timeout=5)
