"""The RQ worker: one process, one GPU, models kept in memory."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from itertools import count
from types import FrameType
from typing import Any
from uuid import UUID

import django_rq
from django.db import connection, connections
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, SimpleWorker, worker_registration
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.worker.base import WorkerStatus

from cms_ai_images import conf, progress, reconciler, services
from cms_ai_images.connections import queue_name
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Priority, Status
from cms_ai_images.webhooks.courier import Courier
from cms_ai_images.worker.reconciling import Reconciling
from cms_ai_images.worker.runtime import Runtime
from cms_ai_images.worker.watchdog import SIGNALS

logger = logging.getLogger(__name__)

RETURN_SECONDS = 2.0
"""Pause before going back to a Redis that was away."""
JOB_TTL = 30
"""Seconds after which RQ takes a job for abandoned whose worker says nothing. A thread speaks for it."""
HEARTBEAT_PAUSE = 1.0
"""Seconds for which one sign of life in RQ is enough."""
SWITCH_SECONDS = 0.0002
"""How long a thread may keep Python's lock while another wants it.

By default it is 5 ms, for which the drawing would wait again and again after each of its short calls into the device's
library, while the thread beside it stores the pictures before.
"""
MAINTENANCE_SECONDS = 60
"""How often RQ looks for such jobs."""


class ImageWorker(SimpleWorker):
    """RQ's worker without a fork: CUDA cannot be used in a forked child, and the model must stay."""

    max_connection_wait_time = 5.0  # an author waits for the return of Redis

    def __init__(self, queues: list[Queue], *, runtime: Runtime, **kwargs: Any) -> None:
        super().__init__(queues, maintenance_interval=MAINTENANCE_SECONDS, worker_ttl=60, **kwargs)
        self.runtime = runtime
        self._next_heartbeat = 0.0

    def execute_job(self, job: Job, queue: Queue) -> None:
        """As `SimpleWorker` does, but with signs of life in RQ during the job."""
        execution = self.prepare_execution(job)
        over = threading.Event()
        # A thread of its own, which nobody waits for: it hangs while Redis does not answer.
        speaker = threading.Thread(target=self._say_that_it_goes_on, args=(job, execution, over), daemon=True)
        speaker.start()
        try:
            self.perform_job(job, queue, execution)
        finally:
            over.set()
        self.set_state(WorkerStatus.IDLE)
        if self.runtime.must_stop:
            self._stop_requested = True

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """As RQ does; before each job it also looks whether an emptied Redis has forgotten this worker.

        RQ asks for it five times around each job, with three round trips; the GPU would wait for all of them.
        """
        if pipeline is not None:
            super().heartbeat(timeout, pipeline)
            self._next_heartbeat = 0.0  # this one may be good for the job only
            return
        now = time.monotonic()
        if now < self._next_heartbeat:
            return
        self._next_heartbeat = now + HEARTBEAT_PAUSE
        with self.connection.pipeline(transaction=False) as together:
            super().heartbeat(timeout, together)
            together.sismember(self.redis_workers_keys, self.key)
            *_, is_known = together.execute()
        if not is_known:
            with self.connection.pipeline() as introduction:
                worker_registration.register(self, introduction)
                introduction.hset(self.key, mapping=self.serialize())
                self.set_state(self.get_state(), introduction)  # else it would have none until its next job
                introduction.execute()

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Short: a killed worker's job must not hold its author's place for minutes."""
        return JOB_TTL

    def subscribe(self) -> None:
        """As RQ does, and to what authors cancel: no step of a drawing has to ask for it."""
        super().subscribe()
        assert self.pubsub is not None  # noqa: S101 - RQ has just set it
        self.pubsub.subscribe(**{progress.cancel_channel(self.runtime.worker.pool): self._hear_of_cancellation})

    def unsubscribe(self) -> None:
        """As RQ does, but the thread that listens is told to stop before it is woken: else it may listen on."""
        self.stop_listening()
        super().unsubscribe()

    def stop_listening(self) -> None:
        """Let that thread end when it is next woken. RQ leaves it behind where Redis is not there for a goodbye."""
        if self.pubsub_thread:
            self.pubsub_thread.stop()

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Somebody stops the job in RQ's pages. There is no process to kill: its task is cancelled, within a step.

        Called by the thread that listens, which must survive whatever goes wrong.
        """
        uuid, _, attempt = (self._stopped_job_id or "").rpartition("-")
        try:
            running = GenerationTask.objects.filter(uuid=uuid, attempt=attempt, status=Status.RUNNING)
            if task := running.first():
                services.stop(task)
        except Exception:
            logger.exception("The task of job %s could not be cancelled", self._stopped_job_id)
        finally:
            connection.close()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """As RQ does, also while Redis is away: the wish must neither be forgotten nor break the work at hand."""
        self.runtime.must_stop = True
        try:
            super().request_stop(signum, frame)
        except RedisError as error:
            logger.warning("Redis does not learn that this worker stops: %s", error)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """A second signal ends the grace, and nothing else: RQ would break the work off in the middle of a line."""

    def _hear_of_cancellation(self, message: dict[str, Any]) -> None:
        """What cannot be read must not end the thread that listens: RQ's commands come through it, too."""
        try:
            uuid, _, attempt = message["data"].decode().partition(" ")
            self.runtime.heartbeat.cancel(UUID(uuid), int(attempt))
        except ValueError as error:
            logger.warning("No cancellation: %s", error)

    def _say_that_it_goes_on(self, job: Job, execution: Execution, over: threading.Event) -> None:
        while not over.wait(conf.get("HEARTBEAT_SECONDS")):
            try:
                self.maintain_heartbeats(job, execution)
            except RedisError as error:
                logger.warning("RQ does not hear from job %s: %s", job.id, error)
            except Exception:
                logger.exception("RQ could not be told that job %s goes on", job.id)


def serve(pool: str, *, burst: bool = False, preload: Sequence[str] = ()) -> bool:
    """Work on a pool's queues, highest priority first, until told to stop; with `burst` until they are empty.

    The models whose slugs are in `preload` are loaded before the first task. RQ's loop ends when Redis goes away. It is
    entered again in this process, so that the models stay loaded; with `burst` the `RedisError` is raised. Returns
    whether the process must be started anew, because its device is lost.
    """
    _keep_connections()
    sys.setswitchinterval(SWITCH_SECONDS)
    runtime = Runtime(pool)
    helpers: list[Reconciling | Courier] = [Reconciling()]
    if conf.get("WEBHOOKS_IN_WORKERS"):
        helpers.append(Courier())
    for number in SIGNALS:  # until RQ's own handlers take over
        signal.signal(number, partial(_leave, runtime))
    runtime.watchdog.listen()
    runtime.start()
    for helper in helpers:
        helper.start()
    try:
        runtime.preload(preload)
        if burst:
            reconciler.run()  # the queues lack what was lost, or had to wait, when no worker lived
        entries = count(1)
        while not runtime.must_stop:
            _work(runtime, pool, f"{runtime.worker.name}-{next(entries)}", burst)
            if burst:
                break
            if not runtime.must_stop:
                time.sleep(RETURN_SECONDS)
    except StopRequested:
        pass  # raised by RQ's signal handler during the pause
    finally:
        for helper in helpers:
            helper.stop()
        runtime.stop()
    return runtime.must_restart


def _leave(runtime: Runtime, signum: int, frame: FrameType | None) -> None:
    """A signal while nothing is held yet: there is nothing to finish."""
    if not runtime.must_stop:
        runtime.must_stop = True
        raise SystemExit


def _keep_connections() -> None:
    """Keep database connections from task to task, looking first whether they still work.

    Django closes them after each job unless the site says otherwise: a page can wait for a new one, a GPU should not.
    """
    for alias in connections:
        connections.settings[alias].update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)


def _work(runtime: Runtime, pool: str, name: str, burst: bool) -> None:
    """RQ's loop once, until it is told to stop or Redis goes away."""
    try:
        redis = django_rq.get_connection(queue_name(pool))
        redis.set_retry(Retry(NoBackoff(), 0))  # RQ and the caller try again by themselves
        queues = [
            django_rq.get_queue(queue_name(pool, priority), connection=redis, commit_mode="auto")
            for priority in sorted(Priority, reverse=True)
        ]
        worker = ImageWorker(queues, name=name, connection=redis, runtime=runtime)
        try:
            worker.work(burst=burst, with_scheduler=False, logging_level="WARNING")
        finally:
            worker.stop_listening()
    except RedisError as error:
        if burst and not runtime.must_stop:
            raise
        if not runtime.must_stop:
            logger.warning("Redis is away (%s); this worker keeps its models and tries again", error)
