"""Whether a picture asked for now would be drawn."""

from __future__ import annotations

import dataclasses

from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from cms_ai_images import queue
from cms_ai_images.connections import patient_redis
from cms_ai_images.models import GenerationTask, Worker
from cms_ai_images.types import Status


@dataclasses.dataclass(frozen=True, kw_only=True)
class Health:
    """`status` is `ok`, `no_worker` or `queue_unreachable`; `detail` says it in words for an author.

    `queued` counts no further than `queue.COUNTED`.
    """

    status: str
    detail: str
    workers: int
    queued: int


def living_pools() -> set[str]:
    """The pools in which at least one worker lives."""
    return set(Worker.objects.alive().values_list("pool", flat=True))


def check(pool: str) -> Health:
    """The state of one pool. Liveness comes from the database: RQ forgets workers when Redis is emptied."""
    workers = Worker.objects.alive().filter(pool=pool).count()
    queued = queue.count(GenerationTask.objects.filter(status=Status.QUEUED, pool=pool))
    status, detail = "ok", _("Ready.")
    if not workers:
        status = "no_worker"
        detail = _("No worker is running, so nothing would be drawn. Tell an administrator or try later.")
    else:
        try:
            with patient_redis(pool) as client:  # whoever has a stream open asks this every few seconds
                client.ping()
        except RedisError:
            status = "queue_unreachable"
            detail = _("The queue is not reachable. Your request is stored and drawn as soon as the queue is back.")
    return Health(status=status, detail=detail, workers=workers, queued=queued)
