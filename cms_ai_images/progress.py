"""Step progress and change notices, in Redis with a time to live.

Only state changes touch the database; everything here is a courtesy. When Redis is away progress is not shown, and
nothing else is wrong, so its errors are logged and go no further.
"""

from __future__ import annotations

import json
import logging
from uuid import UUID

from redis.exceptions import RedisError

from cms_ai_images import conf
from cms_ai_images.connections import get_redis
from cms_ai_images.types import Progress

logger = logging.getLogger(__name__)


def _key(uuid: UUID) -> str:
    return f"ai-images:progress:{uuid}"


def _cancel_key(uuid: UUID) -> str:
    return f"ai-images:cancel:{uuid}"


def channel(uuid: UUID) -> str:
    """The pub/sub channel that carries notices about one task."""
    return f"ai-images:events:{uuid}"


def publish_step(pool: str, uuid: UUID, progress: Progress) -> bool:
    """Say how far an attempt is. Returns whether a cancellation was asked for."""
    try:
        with get_redis(pool).pipeline(transaction=False) as pipe:
            pipe.hset(_key(uuid), mapping={"attempt": progress.attempt, "step": progress.step, "total": progress.total})
            pipe.expire(_key(uuid), conf.get("PROGRESS_TTL_SECONDS"))
            pipe.publish(
                channel(uuid), json.dumps({"event": "progress", "step": progress.step, "total": progress.total})
            )
            pipe.exists(_cancel_key(uuid))
            return bool(pipe.execute()[-1])
    except RedisError as error:
        logger.warning("Progress of task %s could not be published: %s", uuid, error)
        return False


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
        get_redis(pool).delete(_key(uuid), _cancel_key(uuid))
    except RedisError as error:
        logger.warning("Old progress of task %s could not be dropped: %s", uuid, error)
