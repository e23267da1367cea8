"""The RQ worker: one process, one GPU, models kept in memory."""

from __future__ import annotations

import logging
import threading
import time

import django_rq
from django.db import close_old_connections, connection
from redis.exceptions import RedisError
from rq import SimpleWorker

from cms_ai_images import conf, reconciler
from cms_ai_images.connections import queue_name
from cms_ai_images.types import Priority
from cms_ai_images.worker.runtime import Runtime

logger = logging.getLogger(__name__)

RETURN_SECONDS = 2.0
"""Pause before going back to a Redis that was away."""


class ImageWorker(SimpleWorker):
    """RQ's worker without a fork: CUDA cannot be used in a forked child, and the model must stay."""

    max_connection_wait_time = 5.0  # an author waits for the return of Redis


class Reconciler(threading.Thread):
    """Runs the reconciler every `RECONCILE_SECONDS` beside the work."""

    def __init__(self) -> None:
        super().__init__(name="ai-images-reconciler", daemon=True)
        self._stop_requested = threading.Event()

    def run(self) -> None:
        """Reconcile until stopped; whatever goes wrong is logged and tried again."""
        while not self._stop_requested.wait(conf.get("RECONCILE_SECONDS")):
            close_old_connections()
            try:
                reconciler.run()
            except Exception:
                logger.exception("A reconciling pass failed and will be repeated")
                connection.close()
        connection.close()

    def stop(self) -> None:
        """End the thread after the current pass."""
        self._stop_requested.set()
        self.join(timeout=5)


def serve(pool: str, *, burst: bool = False) -> None:
    """Work on a pool's queues, highest priority first, until told to stop; with `burst` until they are empty.

    RQ's loop ends when Redis goes away. It is entered again in this process, so that the models stay loaded.
    """
    runtime = Runtime(pool)
    reconciling = Reconciler()
    runtime.start()
    reconciling.start()
    try:
        entry = 0
        while True:
            entry += 1
            if _work(runtime, pool, f"{runtime.worker.name}-{entry}", burst) or burst:
                break
            time.sleep(RETURN_SECONDS)
    finally:
        reconciling.stop()
        runtime.stop()


def _work(runtime: Runtime, pool: str, name: str, burst: bool) -> bool:
    """RQ's loop once; whether it ended because somebody asked it to."""
    try:
        redis = django_rq.get_connection(queue_name(pool))
        queues = [
            django_rq.get_queue(queue_name(pool, priority), connection=redis, commit_mode="auto")
            for priority in sorted(Priority, reverse=True)
        ]
        worker = ImageWorker(queues, name=name, connection=redis, worker_ttl=60)
        worker.work(burst=burst, with_scheduler=False, logging_level="WARNING")
        return worker._stop_requested or worker._shutdown_requested_date is not None
    except RedisError as error:
        logger.warning("Redis is away (%s); this worker keeps its models and tries again", error)
        return False
