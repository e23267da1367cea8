"""Step progress and change notices, in Redis with a time to live.

Only state changes touch the database; everything here is a courtesy. When Redis is away progress is not shown, and
nothing else is wrong, so its errors are logged and go no further.
"""

from __future__ import annotations

import json
import logging
from uuid import UUID

from redis.asyncio import Redis as AsyncRedis
from redis.client import Pipeline
from redis.exceptions import RedisError

from cms_ai_images import conf
from cms_ai_images.connections import get_redis
from cms_ai_images.types import Progress

logger = logging.getLogger(__name__)

PACE_WEIGHT = 0.3
"""Share of the latest task in the moving average."""
PACE_TTL = 24 * 3600
"""Seconds for which a measured pace is believed."""


def _key(uuid: UUID) -> str:
    return f"ai-images:progress:{uuid}"


def _preview_key(uuid: UUID) -> str:
    return f"ai-images:preview:{uuid}"


def _cancel_key(uuid: UUID) -> str:
    return f"ai-images:cancel:{uuid}"


def _pace_key(pool: str) -> str:
    return f"ai-images:pace:{pool}"


def channel(uuid: UUID) -> str:
    """The pub/sub channel that carries notices about one task."""
    return f"ai-images:events:{uuid}"


Step = tuple[UUID, Progress, list[bytes]]
"""A task, how far it is, and a small JPEG of each of its pictures where they are due."""


def publish_steps(pool: str, steps: list[Step]) -> set[UUID]:
    """Say how far the tasks of a batch are, in one round trip. Returns those whose cancellation was asked for."""
    try:
        with get_redis(pool).pipeline(transaction=False) as pipe:
            for uuid, progress, previews in steps:
                _publish(pipe, uuid, progress, previews)
            for uuid, _progress, _previews in steps:
                pipe.exists(_cancel_key(uuid))
            asked = pipe.execute()[-len(steps) :] if steps else []
    except RedisError as error:
        logger.warning("Progress of %d tasks could not be published: %s", len(steps), error)
        return set()
    return {uuid for (uuid, _progress, _previews), cancel in zip(steps, asked, strict=True) if cancel}


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
        preview = get_redis(pool).hget(_preview_key(uuid), str(index))
    except RedisError as error:
        logger.warning("The preview of task %s could not be read: %s", uuid, error)
        return None
    return preview if isinstance(preview, bytes) else None


async def previews(client: AsyncRedis, uuid: UUID, count: int) -> list[bytes]:
    """The same for the first `count` pictures, from an event loop. Raises `RedisError`."""
    if not count:
        return []
    found = await client.hmget(_preview_key(uuid), [str(index) for index in range(count)])
    return [preview for preview in found if isinstance(preview, bytes)]


def read(pool: str, uuid: UUID, attempt: int) -> Progress | None:
    """How far this attempt is; `None` before its first step or when Redis is away."""
    try:
        values = get_redis(pool).hgetall(_key(uuid))
    except RedisError as error:
        logger.warning("Progress of task %s could not be read: %s", uuid, error)
        return None
    if not values or int(values[b"attempt"]) != attempt:
        return None
    return Progress(attempt=attempt, step=int(values[b"step"]), total=int(values[b"total"]))


def note_pace(pool: str, seconds: float) -> None:
    """Remember how long a task took on a worker: a moving average that follows a change within some tasks."""
    try:
        client = get_redis(pool)
        before = client.get(_pace_key(pool))
        pace = seconds if before is None else float(before) + PACE_WEIGHT * (seconds - float(before))
        client.set(_pace_key(pool), pace, ex=PACE_TTL)
    except RedisError as error:
        logger.warning("The pace of pool %s could not be noted: %s", pool, error)


def read_pace(pool: str) -> float | None:
    """Seconds that a task of this pool takes of a worker's time; `None` where none was drawn lately."""
    try:
        pace = get_redis(pool).get(_pace_key(pool))
    except RedisError as error:
        logger.warning("The pace of pool %s could not be read: %s", pool, error)
        return None
    return None if pace is None else float(pace)


def announce(pool: str, uuid: UUID) -> None:
    """Tell whoever watches this task that its row has changed."""
    try:
        get_redis(pool).publish(channel(uuid), json.dumps({"event": "task"}))
    except RedisError as error:
        logger.warning("The change of task %s could not be announced: %s", uuid, error)


def request_cancel(pool: str, uuid: UUID) -> None:
    """Let the worker know within one step; the row says the same to its slower check."""
    try:
        get_redis(pool).set(_cancel_key(uuid), 1, ex=conf.get("PROGRESS_TTL_SECONDS"))
    except RedisError as error:
        logger.warning("The cancellation of task %s reaches its worker late: %s", uuid, error)


def forget(pool: str, uuid: UUID) -> None:
    """Drop what an ended attempt left, so that a retry is not cancelled by an old wish."""
    try:
        get_redis(pool).delete(_key(uuid), _preview_key(uuid), _cancel_key(uuid))
    except RedisError as error:
        logger.warning("Old progress of task %s could not be dropped: %s", uuid, error)
