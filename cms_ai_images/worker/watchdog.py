"""Sees to it that a process ends that must end and cannot by itself, so that no supervisor ever has to kill it."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
import threading
import time

from django.db import connection
from django.utils import timezone
from redis.exceptions import RedisError

from cms_ai_images import conf, queue
from cms_ai_images.exceptions import AIImagesError
from cms_ai_images.models import GenerationTask, Worker
from cms_ai_images.worker.ending import end
from cms_ai_images.worker.heartbeat import Heartbeat
from cms_ai_images.worker.hold import Hold

logger = logging.getLogger(__name__)

RESTART = 75
"""Exit status (EX_TEMPFAIL) of a worker that only a new process can replace."""
STEP_SECONDS = 5.0
"""How long the work at hand may take, after the grace, to notice that it is handed back."""
GOODBYE_SECONDS = 5.0
"""How long it may take to hand back what nobody noticed; the database may not answer either."""
SAME_SIGNAL_SECONDS = 1.0
"""Signals so close to each other are one wish: a terminal and a supervisor may both send one."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXIT_SECONDS = 10.0
"""How long Python may take to end once everything is done; it waits for threads that a library left behind."""
STDERR = 2
"""The file descriptor: the object may have been replaced by one that faulthandler cannot use."""
STOP = 0
"""Not a signal: this process ends by itself."""


class Watchdog(threading.Thread):
    """Ends this process after SIGTERM's grace, and when a call has hung for a lease longer than its deadline.

    Python runs signal handlers between two instructions of the main thread, which a call that hangs never reaches.
    The signal's number is written into a socket at once, and this thread reads it there. A call that hangs and keeps
    Python's lock stops this thread, too; then faulthandler's own thread ends the process.
    """

    def __init__(self, heartbeat: Heartbeat) -> None:
        super().__init__(name="ai-images-watchdog", daemon=True)
        self.heartbeat = heartbeat
        self._news, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._listens = False

    def listen(self) -> None:
        """Hear of signals, once they have handlers. Call it, and `stop`, from the main thread."""
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        self._listens = True

    def run(self) -> None:
        """Watch until a signal comes, and then the clock."""
        hanging: set[Hold] = set()
        while not (news := self._wait(conf.get("HEARTBEAT_SECONDS"))):
            overdue = self.heartbeat.overdue()
            if both := hanging & overdue:  # twice: this process may just have been asleep itself
                logger.critical("%d tasks hang for longer than their time; this worker is started anew", len(both))
                self._end(RESTART)
            hanging = overdue
        if STOP in news:
            faulthandler.cancel_dump_traceback_later()
        elif self._wait_for_grace():
            logger.critical("This worker must go, and something in it does not end; the work is handed back")
            self._end(0)

    def stop(self) -> None:
        """This process ends by itself."""
        if self._listens:
            signal.set_wakeup_fd(-1)
            self._listens = False
        self._sender.send(bytes([STOP]))
        if self.is_alive():
            self.join(timeout=5)

    def _wait(self, seconds: float) -> bytes:
        """The news of so many seconds, as soon as there are some. Who keeps Python's lock until long after is dead."""
        longest = max([conf.get("LIMITS")["task_seconds"], *(hold.time_limit for hold in self.heartbeat.held())])
        stalled = seconds + longest + conf.get("LEASE_SECONDS")
        faulthandler.dump_traceback_later(stalled, exit=True, file=STDERR)
        self._news.settimeout(seconds)
        try:
            news = self._news.recv(64)
        except TimeoutError:
            return b""
        return bytes(number for number in news if number in (STOP, *SIGNALS))

    def _wait_for_grace(self) -> bool:
        """Let the work at hand end, then hand it back. Returns whether this process is still there after all that."""
        begun = time.monotonic()
        while (left := begun + conf.get("STOP_GRACE_SECONDS") - time.monotonic()) > 0:
            news = self._wait(left)
            if STOP in news:
                return False
            if news and time.monotonic() - begun > SAME_SIGNAL_SECONDS:
                break  # asked twice
        self.heartbeat.hand_back()
        return STOP not in self._wait(STEP_SECONDS)

    def _end(self, status: int) -> None:
        """Hand back what is held and leave, without a word to the thread that hangs."""
        goodbye = threading.Thread(target=self._say_goodbye, daemon=True)
        goodbye.start()
        goodbye.join(GOODBYE_SECONDS)
        faulthandler.dump_traceback(STDERR)  # where it hangs
        os._exit(status)

    def _say_goodbye(self) -> None:
        """Like every write of a worker these are fenced: what somebody else has meanwhile is left alone."""
        try:
            self.heartbeat.hand_back()
            released = [(hold.fence.attempt, _let_go(hold)) for hold in self.heartbeat.held()]
            Worker.objects.filter(pk=self.heartbeat.worker_id).update(stopped_at=timezone.now())
            for attempt, task in released:
                queue.release(task, f"{task.uuid}-{attempt}")
        except RedisError as error:
            logger.warning("The places of the jobs are kept until Redis is back: %s", error)
        except Exception:
            logger.exception("Not everything could be handed back; the leases will end")
        connection.close()


def bound_exit() -> None:
    """Call at the very end: from here on this process has nothing to do but end, and does so for sure."""
    faulthandler.dump_traceback_later(EXIT_SECONDS, exit=True, file=STDERR)


def _let_go(hold: Hold) -> GenerationTask:
    """Write why the work on a task ends, as the work itself would have on its next step."""
    task = GenerationTask.objects.get(pk=hold.fence.task_id)
    try:
        hold.check()
    except AIImagesError as error:
        end(task, hold.fence, error)
    return task
