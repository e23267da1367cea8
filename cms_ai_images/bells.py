"""What RQ knows of the jobs of waiting tasks: asked for some at once, at a cost that no queue's length changes.

RQ keeps a job's hash, and its id in a queue's list or among those that its author's limit holds back. Any of them may
get lost: in a Redis that was emptied or came back with old news, or when a worker dies right after it took the id.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

from rq.job import Job, JobStatus
from rq.rate_limit import RateLimitRegistry
from rq.utils import utcparse

from cms_ai_images import queue
from cms_ai_images.connections import get_redis
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Status

QUEUED, HELD = JobStatus.QUEUED.value.encode(), JobStatus.RATE_LIMITED.value.encode()
SEARCHED = 20
"""Most ids that are searched for in a list at once: a search takes the longer the longer the list is."""


def lost(pool: str, priority: int, tasks: Sequence[GenerationTask]) -> list[GenerationTask]:
    """Those of some waiting tasks of one queue whose bell will not ring. Raises `RedisError`.

    A list is in order: an id that was pushed before the one at its head has left it. As clocks of hosts differ, it is
    searched for, too. One that is lost from the middle is noticed when its turn has passed.
    """
    redis = get_redis(pool)
    key = queue.get_queue(pool, priority).key
    registries = _registries(tasks)
    with redis.pipeline(transaction=False) as pipe:
        pipe.lindex(key, 0)
        for task in tasks:
            pipe.hmget(Job.key_for(queue.job_id(task)), "status", "enqueued_at")
            pipe.zscore(registries[task.user_id].rate_limited_key, queue.job_id(task))
        head, *answers = pipe.execute()
    first = None if head is None else redis.hget(Job.key_for(head.decode()), "enqueued_at")
    missing, doubtful = [], []
    for task, (status, pushed_at), held_since in zip(tasks, answers[::2], answers[1::2], strict=True):
        if status == QUEUED and head is not None:
            doubtful += [task] if _passed(pushed_at, first) else []
        elif status != HELD or held_since is None:
            missing.append(task)
    searched = random.sample(doubtful, min(SEARCHED, len(doubtful)))
    with redis.pipeline(transaction=False) as pipe:
        for task in searched:
            pipe.lpos(key, queue.job_id(task))
        return missing + [task for task, place in zip(searched, pipe.execute(), strict=True) if place is None]


def free_places(pool: str, tasks: Iterable[GenerationTask]) -> None:
    """Give back the places under these tasks' authors' limits that belong to attempts that are over.

    A Redis that went away in the middle of a job, or came back with old news, keeps them until RQ's maintenance comes.
    Raises `RedisError`.
    """
    registries = _registries(tasks)
    with get_redis(pool).pipeline(transaction=False) as pipe:
        for registry in registries.values():
            pipe.zrange(registry.allowed_key, 0, -1)
        places = [[job.decode() for job in jobs] for jobs in pipe.execute()]
    uuids = {job.rpartition("-")[0] for jobs in places for job in jobs}
    open_tasks = GenerationTask.objects.filter(uuid__in=uuids, status__in=Status.active())
    open_jobs = {
        queue.job_id(task) if task.status == Status.QUEUED else f"{task.uuid}-{task.attempt}"
        for task in open_tasks.only("uuid", "attempt", "status")
    }
    for registry, jobs in zip(registries.values(), places, strict=True):
        for job in jobs:
            if job not in open_jobs:
                registry.release_and_enqueue(job)


def _registries(tasks: Iterable[GenerationTask]) -> dict[int | None, RateLimitRegistry]:
    """The limits of these tasks' authors, by author."""
    one_of_each = {task.user_id: task for task in tasks}
    return {
        author: RateLimitRegistry(queue.limit_key(task), connection=get_redis(task.pool))
        for author, task in one_of_each.items()
    }


def _passed(pushed_at: bytes | None, first: Any) -> bool:
    """Whether the list's head was pushed after this one. A head whose hash is gone tells nothing."""
    return pushed_at is None or (first is not None and utcparse(first.decode()) > utcparse(pushed_at.decode()))
