"""Storing pictures beside the next drawing, so that the GPU does not wait for a disk."""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
import time

from django.db import InterfaceError, OperationalError, close_old_connections, connection

from cms_ai_images import conf, progress
from cms_ai_images.exceptions import AIImagesError, PictureNotStored, StorageUnavailable
from cms_ai_images.types import GeneratedPicture
from cms_ai_images.worker.batch import Member, leave, move_deadline
from cms_ai_images.worker.heartbeat import Heartbeat
from cms_ai_images.worker.landing import land

logger = logging.getLogger(__name__)

PAUSES = (0.5, 2.0, 5.0)
"""Seconds between tries to store pictures: storage and database get some chances before paid work is done again."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Landing:
    """Pictures in memory, on their way into the draft storage."""

    member: Member
    pictures: list[GeneratedPicture]
    model_revision: str


class Lander(threading.Thread):
    """Lands one task after the other. Its backlog is bounded: a slow storage must not fill the memory."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        super().__init__(name="ai-images-lander", daemon=True)
        self.heartbeat = heartbeat
        self._backlog: queue.Queue[Landing | None] = queue.Queue(maxsize=conf.get("LANDING_BACKLOG"))

    @property
    def waiting(self) -> int:
        """How many wait for their turn; whoever submits knows that there will be no more of them."""
        return self._backlog.qsize()

    def submit(self, landing: Landing) -> None:
        """Take over; waits while the backlog is full. The claim's lease is kept until the pictures are stored."""
        self._backlog.put(landing)

    def run(self) -> None:
        """Land until `stop`."""
        while (landing := self._backlog.get()) is not None:
            close_old_connections()
            try:
                self._land(landing)
            except Exception:
                logger.exception("Task %s could not be finished; its lease will end", landing.member.task.uuid)
                connection.close()
                self.heartbeat.release(landing.member.hold)
        connection.close()

    def stop(self) -> None:
        """Land what is waiting, then end."""
        self._backlog.put(None)
        self.join()

    def _land(self, landing: Landing) -> None:
        member = landing.member
        try:
            move_deadline(member, conf.get("LANDING_TIMEOUT_SECONDS"))
            self._land_patiently(landing)
        except AIImagesError as error:
            leave(self.heartbeat, member, error)
        except (OperationalError, InterfaceError):
            raise  # the database is away: nothing can be written
        except Exception as error:  # noqa: BLE001 - whatever it is, the attempt is over
            failure = PictureNotStored()
            failure.__cause__ = error
            leave(self.heartbeat, member, failure)
        else:
            self.heartbeat.release(member.hold)
            progress.forget(member.task.pool, member.task.uuid)  # the pictures are there, the previews need no memory

    def _land_patiently(self, landing: Landing) -> None:
        """Try again while the storage or the database fails and the lease holds; then the task is repeated."""
        hold = landing.member.hold
        for pause in (*PAUSES, None):
            try:
                hold.check(drawn=True)
                land(landing.member.task, landing.pictures, landing.member.fence, model_revision=landing.model_revision)
                return
            except (StorageUnavailable, OperationalError, InterfaceError) as error:
                # Who sleeps beyond the deadline looks like one that hangs, and has lost the lease anyway.
                if pause is None or pause >= hold.seconds_left:
                    raise
                logger.warning("Storing task %s failed: %s", landing.member.task.uuid, error.__cause__ or error)
                time.sleep(pause)
                close_old_connections()
