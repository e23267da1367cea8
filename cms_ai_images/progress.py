"""Step progress and change notices, in Redis with a time to live.

Only state changes touch the database; everything here is a courtesy. When Redis is away progress is not shown, and
nothing else is wrong, so its errors are logged and go no further. While it hangs it is only asked now and then, so that
neither a drawing nor a page waits for it at every step.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from redis.asyncio import Redis as AsyncRedis
from redis.client import Pipeline
from redis.exceptions import RedisError

from cms_ai_images import conf
from cms_ai_images.connections import RedisRests, patient_redis
from cms_ai_images.types import Progress

logger = logging.getLogger(__name__)

PACE_WEIGHT = 0.3
"""Share of the latest task in the moving average."""
PACE_TTL = 24 * 3600
"""Seconds for which a measured pace is believed."""


def _complain(error: RedisError, what: str, *args: object) -> None:
    """Log what could not be done; not again and again while nobody even tries."""
    logger.log(logging.DEBUG if isinstance(error, RedisRests) else logging.WARNING, f"{what}: %s", *args, error)


def _key(uuid: UUID) -> str:
    return f"ai-images:progress:{uuid}"


def _preview_key(uuid: UUID) -> str:
    return f"ai-images:preview:{uuid}"


def _cancel_key(uuid: UUID) -> str:
    return f"ai-images:cancel:{uuid}"


def _pace_keys(pool: str, model_id: int | None) -> list[str]:
    """Of the pool, whatever is drawn there, and of a model in it."""
    return [f"ai-images:pace:{pool}", f"ai-images:pace:{pool}:{model_id}"]


def channel(uuid: UUID) -> str:
    """The pub/sub channel that carries notices about one task."""
    return f"ai-images:events:{uuid}"


def cancel_channel(pool: str) -> str:
    """The pub/sub channel on which a pool's workers hear at once what is to be cancelled."""
    return f"ai-images:cancel-in:{pool}"


Step = tuple[UUID, Progress, list[bytes]]
"""A task, how far it is, and a small JPEG of each of its pictures where they are due."""


def publish_steps(pool: str, steps: list[Step]) -> set[UUID]:
    """Say how far the tasks of a batch are, in one round trip.

    Returns those whose present attempt, not one before it, somebody asked to cancel.
    """
    try:
        with patient_redis(pool) as client, client.pipeline(transaction=False) as pipe:
            for uuid, progress, previews in steps:
                _publish(pipe, uuid, progress, previews)
            for uuid, _progress, _previews in steps:
                pipe.get(_cancel_key(uuid))
            asked = pipe.execute()[-len(steps) :] if steps else []
    except RedisError as error:
        _complain(error, "Progress of %d tasks could not be published", len(steps))
        return set()
    wishes = zip(steps, asked, strict=True)
    return {uuid for (uuid, progress, _), attempt in wishes if attempt is not None and int(attempt) == progress.attempt}


def _publish(pipe: Pipeline, uuid: UUID, progress: Progress, previews: list[bytes]) -> None:
    ttl = conf.get("PROGRESS_TTL_SECONDS")
    pipe.hset(_key(uuid), mapping={"attempt": progress.attempt, "step": progress.step, "total": progress.total})
    pipe.expire(_key(uuid), ttl)
    if previews:
        pipe.hset(_preview_key(uuid), mapping=dict(enumerate(previews)))
        pipe.expire(_preview_key(uuid), ttl)
    notice = {"event": "progress", "step": progress.step, "total": progress.total, "previews": len(previews)}
    if progress.eta_seconds is not None:
        notice["eta_seconds"] = progress.eta_seconds
    pipe.publish(channel(uuid), json.dumps(notice))


def read_preview(pool: str, uuid: UUID, index: int) -> bytes | None:
    """The latest small JPEG of one of a running task's pictures; `None` where there is none or Redis is away."""
    try:
        with patient_redis(pool) as client:
            preview = client.hget(_preview_key(uuid), str(index))
    except RedisError as error:
        _complain(error, "The preview of task %s could not be read", uuid)
        return None
    return preview if isinstance(preview, bytes) else None


def read_previews(pool: str, uuid: UUID, count: int) -> list[bytes]:
    """The same for the first `count` pictures: those that there are, none when Redis is away."""
    try:
        with patient_redis(pool) as client:
            found = client.hmget(_preview_key(uuid), [str(index) for index in range(count)])
    except RedisError as error:
        _complain(error, "The previews of task %s could not be read", uuid)
        return []
    return [preview for preview in found if isinstance(preview, bytes)]


async def previews(client: AsyncRedis, uuid: UUID, count: int) -> list[bytes]:
    """The same for the first `count` pictures, from an event loop. Raises `RedisError`."""
    if not count:
        return []
    found = await client.hmget(_preview_key(uuid), [str(index) for index in range(count)])
    return [preview for preview in found if isinstance(preview, bytes)]


def read(pool: str, uuid: UUID, attempt: int) -> Progress | None:
    """How far this attempt is; `None` before its first step or when Redis is away."""
    return read_many(pool, {uuid: attempt}).get(uuid)


def read_many(pool: str, attempts: Mapping[UUID, int]) -> dict[UUID, Progress]:
    """The same for an attempt of each of these tasks, in one round trip; those that have begun."""
    try:
        with patient_redis(pool) as client, client.pipeline(transaction=False) as pipe:
            for uuid in attempts:
                pipe.hgetall(_key(uuid))
            found = pipe.execute()
    except RedisError as error:
        _complain(error, "Progress of %d tasks could not be read", len(attempts))
        return {}
    return {
        uuid: Progress(attempt=attempt, step=int(values[b"step"]), total=int(values[b"total"]))
        for (uuid, attempt), values in zip(attempts.items(), found, strict=True)
        if values and int(values[b"attempt"]) == attempt
    }


def note_pace(pool: str, model_id: int | None, seconds: float) -> None:
    """Remember how long a task took on a worker: moving averages that follow a change within some tasks."""
    keys = _pace_keys(pool, model_id)
    try:
        with patient_redis(pool) as client, client.pipeline(transaction=False) as pipe:
            for key, before in zip(keys, client.mget(keys), strict=True):
                pace = seconds if before is None else float(before) + PACE_WEIGHT * (seconds - float(before))
                pipe.set(key, pace, ex=PACE_TTL)
            pipe.execute()
    except RedisError as error:
        _complain(error, "The pace of pool %s could not be noted", pool)


class Pace(NamedTuple):
    """Seconds that a task takes of a worker's time: any task of the pool, and one of a certain model."""

    pool: float
    model: float


def read_pace(pool: str, model_id: int | None) -> Pace | None:
    """What was measured lately; `None` where nothing was drawn. A model that was not is taken to be like the others."""
    try:
        with patient_redis(pool) as client:
            of_pool, of_model = client.mget(_pace_keys(pool, model_id))
    except RedisError as error:
        _complain(error, "The pace of pool %s could not be read", pool)
        return None
    return None if of_pool is None else Pace(pool=float(of_pool), model=float(of_model or of_pool))


def announce(pool: str, uuid: UUID) -> None:
    """Tell whoever watches this task that its row has changed."""
    try:
        with patient_redis(pool) as client:
            client.publish(channel(uuid), json.dumps({"event": "task"}))
    except RedisError as error:
        _complain(error, "The change of task %s could not be announced", uuid)


def request_cancel(pool: str, uuid: UUID, attempt: int) -> None:
    """Let the worker know within one step. A retry is another attempt.

    Told at once to workers that listen, and kept for one that does not at this moment; the row says the same to its
    slower check.
    """
    try:
        with patient_redis(pool) as client, client.pipeline(transaction=False) as pipe:
            pipe.set(_cancel_key(uuid), attempt, ex=conf.get("PROGRESS_TTL_SECONDS"))
            pipe.publish(cancel_channel(pool), f"{uuid} {attempt}")
            pipe.execute()
    except RedisError as error:
        _complain(error, "The cancellation of task %s reaches its worker late", uuid)


def forget(pool: str, uuid: UUID) -> None:
    """Drop what an ended attempt left. What stays because Redis is away means nothing to the next attempt."""
    try:
        with patient_redis(pool) as client:
            client.delete(_key(uuid), _preview_key(uuid), _cancel_key(uuid))
    except RedisError as error:
        _complain(error, "Old progress of task %s could not be dropped", uuid)
