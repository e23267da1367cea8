"""RQ, seen from the web side: dispatch and position. The worker's job is named by a dotted string, never imported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import django_rq
from django.db.models import Func, IntegerField, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from redis.exceptions import RedisError
from rq import Queue, RateLimit
from rq.rate_limit import RateLimitRegistry

from cms_ai_images import conf, progress
from cms_ai_images.connections import get_redis, patient_redis, queue_name
from cms_ai_images.models import GenerationTask, Worker
from cms_ai_images.progress import Pace
from cms_ai_images.types import Progress, Status

logger = logging.getLogger(__name__)

JOB = "cms_ai_images.worker.job.run"
"""What a worker runs for each task."""
NO_TIMEOUT = -1
"""RQ's time limit is a signal that cannot interrupt a GPU call; deadlines are checked after each step instead."""
RESULT_TTL = 3600
"""Seconds for which finished jobs stay visible in RQ's pages."""
FAILURE_TTL = 7 * 24 * 3600
"""Seconds for which failed jobs stay visible in RQ's pages."""
COUNTED = 1000
"""Whoever waits behind so many tasks does not ask how many exactly."""


def job_id(task: GenerationTask) -> str:
    """The RQ job of the task's next attempt. Two attempts never share a job."""
    return f"{task.uuid}-{task.attempt + 1}"


def get_queue(pool: str, priority: int) -> Queue:
    """The RQ queue that workers of this pool listen on."""
    return django_rq.get_queue(queue_name(pool, priority), connection=get_redis(pool), commit_mode="auto")


def dispatch(task: GenerationTask) -> bool:
    """Enqueue the task's job; `False` when Redis is away, and then the reconciler does it later.

    A doubled job is harmless: the second finds nothing to claim.
    """
    limit = None if task.user_id is None else RateLimit(limit_key(task), conf.get("USER_CONCURRENCY"))
    words = describe(task)
    try:
        with patient_redis(task.pool):
            get_queue(task.pool, task.priority).enqueue_call(
                JOB,
                args=(str(task.uuid),),
                job_id=job_id(task),
                rate_limit=limit,
                timeout=NO_TIMEOUT,
                result_ttl=RESULT_TTL,
                failure_ttl=FAILURE_TTL,
                description=words,
                meta={"request": words},  # django-rq's pages show no descriptions
            )
    except RedisError as error:
        logger.warning("Task %s waits in the database until Redis is back: %s", task.uuid, error)
        return False
    return True


def limit_key(task: GenerationTask) -> str:
    """RQ lets `USER_CONCURRENCY` jobs with this key through at a time, so that everybody's turn comes."""
    return f"ai-images:{task.pool}:{task.user_id}"


def release(task: GenerationTask, job: str) -> None:
    """Give back the place that a lost job still holds under its author's limit, and let their next one through."""
    RateLimitRegistry(limit_key(task), connection=get_redis(task.pool)).release_and_enqueue(job)


def describe(task: GenerationTask) -> str:
    """One line for RQ's pages: operation, style and the start of the prompt."""
    prompt = " ".join(task.prompt.split())
    return _("%(operation)s · %(preset)s · %(prompt)s") % {
        "operation": task.operation,
        "preset": task.preset_label or "–",
        "prompt": prompt[:60],
    }


def eta(
    task: GenerationTask,
    position: int | None,
    step: Progress | None,
    read_pace: Callable[[str, int | None], Pace | None] = progress.read_pace,
) -> int | None:
    """About how many seconds until its pictures are there, from measured times; `None` where nothing is known.

    While it waits: the pool's time for a task for each that comes before, shared by the living workers, and then its
    model's time. While it runs: the time of the steps so far, for the steps that are left.
    """
    if position is not None:
        if (pace := read_pace(task.pool, task.model_id)) is None:
            return None
        workers = max(1, _place(task)[1] or 0)
        return round((position - 1) * pace.pool / workers + pace.model)
    if step is None or task.started_at is None or not step.step:
        return None
    elapsed = (timezone.now() - task.started_at).total_seconds()
    return round(elapsed / step.step * (step.total - step.step))


def position(task: GenerationTask) -> int | None:
    """How many tasks of the pool, this one included, come before it is drawn; `None` unless it is queued.

    Counts over the partial index of queued rows and no further than `COUNTED`, so neither the history nor the queue can
    make it slow. Turns that authors take under the rate limit are not foreseen: it may be sooner.
    """
    if task.status != Status.QUEUED:
        return None
    ahead = _place(task)[0]
    return None if ahead is None else min(ahead, COUNTED) + 1


def with_places(tasks: QuerySet[GenerationTask]) -> QuerySet[GenerationTask]:
    """The tasks with what `position` and `eta` tell of those that wait, so that neither needs a query of its own."""
    return tasks.annotate(ahead=_Waiting(AHEAD), living_workers=_Waiting(LIVING_WORKERS, [Worker.alive_since()]))


# These are part of every answer about tasks. Put together from querysets they cost more than all that is around them,
# so they stand here as SQL. The database only looks where the row waits; each count reads a part of the index of
# waiting rows, and no more than `COUNTED` of them. The order is that in which workers look for tasks.
AHEAD = """CASE WHEN {status} = '{queued}' THEN (
    SELECT COUNT(*) FROM (
        SELECT 1 FROM {tasks} other WHERE other.status = '{queued}' AND other.pool = {pool}
        AND other.priority > {priority} LIMIT {counted}
    ) urgent
) + (
    SELECT COUNT(*) FROM (
        SELECT 1 FROM {tasks} other WHERE other.status = '{queued}' AND other.pool = {pool}
        AND other.priority = {priority} AND (other.available_at, other.id) < ({available_at}, {id}) LIMIT {counted}
    ) earlier
) END"""
LIVING_WORKERS = """CASE WHEN {status} = '{queued}' THEN (
    SELECT COUNT(*) FROM {workers} worker
    WHERE worker.pool = {pool} AND worker.stopped_at IS NULL AND worker.heartbeat_at > %s
) END"""


class _Waiting(Func):
    """A number that is asked for in SQL with the names of the row's columns in it."""

    output_field = IntegerField()
    columns = ("id", "status", "pool", "priority", "available_at")

    def __init__(self, sql: str, params: Sequence[Any] = ()) -> None:
        super().__init__(*self.columns)
        self.sql, self.params = sql, params

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        """The statement, and what its `%s` stand for."""
        names = [compiler.compile(column)[0] for column in self.source_expressions]
        tables = [connection.ops.quote_name(table._meta.db_table) for table in (GenerationTask, Worker)]
        columns = dict(zip(self.columns, names, strict=True))
        params = [connection.ops.adapt_datetimefield_value(moment) for moment in self.params]
        words = {"tasks": tables[0], "workers": tables[1], "queued": Status.QUEUED.value, "counted": COUNTED}
        return self.sql.format(**columns, **words), params


def _place(task: GenerationTask) -> tuple[int | None, int | None]:
    """How many come before it, and how many workers share them."""
    if not hasattr(task, "ahead"):
        task = with_places(GenerationTask.objects.filter(pk=task.pk)).get()
    return task.ahead, task.living_workers  # type: ignore[attr-defined]


def count(waiting: QuerySet[GenerationTask]) -> int:
    """How many there are; from `COUNTED` on it no longer matters."""
    return waiting.order_by()[:COUNTED].count()
