"""Several workers of one host, each a process with a GPU of its own, under RQ's worker pool.

Imported by processes that have not set Django up yet, so nothing here may import models.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

import django
import django_rq
from django.core.management import CommandError, call_command
from rq.worker_pool import WorkerData, WorkerPool

from cms_ai_images.connections import queue_name

logger = logging.getLogger(__name__)

RETURN_SECONDS = 2.0
"""Pause before a worker that ended is started anew: a sick GPU ends it again and again."""


class DevicePool(WorkerPool):
    """RQ's pool starts, restarts and stops the workers; what it starts is `ai_images_worker`, once for each device.

    RQ forks its workers. CUDA cannot be used in a forked process, so these are spawned.
    """

    def __init__(self, pool: str, devices: Sequence[str | None], models: Sequence[str]) -> None:
        connection = django_rq.get_connection(queue_name(pool))
        super().__init__([queue_name(pool)], connection=connection, num_workers=len(devices))
        self.pool = pool
        self.devices = devices
        self.models = models
        self.status_of_failed = 0
        """The exit status of the last worker that ended with another one than 0."""
        self._device_of: dict[str, str | None] = {}

    def get_worker_process(self, name: str, burst: bool, _sleep: float = 0, logging_level: str = "INFO") -> BaseProcess:
        """A worker for a device that none of the living ones has."""
        taken = Counter(self._device_of[living] for living in self.worker_dict)
        self._device_of[name] = next((Counter(self.devices) - taken).elements())
        options = {"pool": self.pool, "device": self._device_of[name], "models": list(self.models), "burst": burst}
        return multiprocessing.get_context("spawn").Process(target=work, kwargs=options, name=f"ai-images {name}")

    def handle_dead_worker(self, worker_data: WorkerData) -> None:
        """Say how it ended. A pause follows unless the pool ends, too."""
        super().handle_dead_worker(worker_data)
        if status := worker_data.process.exitcode:
            self.status_of_failed = status
            device = self._device_of[worker_data.name]
            logger.error("The worker %d (device %s) ended with status %d", worker_data.pid, device or "any", status)
        if self.status is self.Status.STARTED and not self._burst:
            time.sleep(RETURN_SECONDS)


def work(*, pool: str, device: str | None, models: list[str], burst: bool) -> None:
    """What a spawned process does."""
    django.setup()
    from cms_ai_images.worker.watchdog import bound_exit

    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        call_command("ai_images_worker", pool=pool, device=device, models=models, burst=burst)
    except CommandError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.returncode)
    finally:
        bound_exit()


def _follow_parent() -> None:
    """A pool that was killed leaves nobody behind: its successor starts workers for the same devices."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
