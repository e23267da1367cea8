"""Redis, as `RQ_QUEUES` configures it, for everything that is not RQ's own worker loop.

These clients give up quickly: a page must not wait for a Redis that is away, and whatever is kept there can be made
again from the database.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import django_rq
import redis.asyncio
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError
from redis.retry import Retry

from cms_ai_images.types import Priority

CONNECT_TIMEOUT = 1.0
"""Seconds to wait for a connection."""
SOCKET_TIMEOUT = 2.0
"""Seconds to wait for an answer."""
REST = 5
"""How many times as long as a try failed nobody tries again: refused at once, it may be asked at once, too."""

_rest_ends: dict[str, float] = {}


class RedisRests(ConnectionError):
    """Redis has kept somebody waiting in vain a moment ago, and is not asked now."""


def queue_name(pool: str, priority: int = Priority.NORMAL) -> str:
    """The RQ queue of a pool and a priority, for example `images-normal`."""
    return f"{pool}-{Priority(priority).word}"


def configured_queues() -> list[tuple[str, Priority]]:
    """The (pool, priority) of every queue in `RQ_QUEUES` that is one of ours, the most urgent ones first."""
    found = [
        (name.removesuffix(f"-{priority.word}"), priority)
        for name in getattr(settings, "RQ_QUEUES", {})
        for priority in Priority
        if name.endswith(f"-{priority.word}")
    ]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def first_pool() -> str:
    """Whose Redis keeps what is not about a pool: the same one, whatever model is asked for."""
    return next((pool for pool, _priority in configured_queues()), "images")


@lru_cache(maxsize=16)
def get_redis(pool: str) -> Redis:
    """A client with short timeouts and no retries, shared by the threads of this process.

    Raises redis' `ConnectionError` for a pool without queues: nobody can be reached there either.
    """
    try:
        client = django_rq.get_connection(queue_name(pool))
    except KeyError as error:
        raise ConnectionError(f"RQ_QUEUES has no queue called {queue_name(pool)}") from error
    client.connection_pool.connection_kwargs.update(
        socket_connect_timeout=CONNECT_TIMEOUT, socket_timeout=SOCKET_TIMEOUT, retry=Retry(NoBackoff(), 0)
    )
    return client


@contextmanager
def patient_redis(pool: str) -> Iterator[Redis]:
    """The same client, for what can be done without or later: a Redis that hangs costs a small part of the time.

    Raises `RedisRests` instead of waiting for it again and again.
    """
    begun = time.monotonic()
    if begun < _rest_ends.get(pool, begun):
        raise RedisRests(f"Redis did not answer; it is asked again in {_rest_ends[pool] - begun:.0f} s")
    try:
        yield get_redis(pool)
    except RedisError:
        now = time.monotonic()
        _rest_ends[pool] = now + REST * (now - begun)
        raise


def get_async_redis(pool: str) -> redis.asyncio.Redis:
    """The same server for a coroutine. The caller closes it."""
    sync_pool = get_redis(pool).connection_pool
    kwargs: dict[str, Any] = {
        name: value
        for name, value in sync_pool.connection_kwargs.items()
        if name in {"host", "port", "db", "username", "password", "path"} or name.startswith("ssl_")
    }
    if "ssl_cert_reqs" in kwargs and issubclass(sync_pool.connection_class, redis.SSLConnection):
        kwargs["ssl"] = True
    else:
        kwargs = {name: value for name, value in kwargs.items() if not name.startswith("ssl_")}
    if path := kwargs.pop("path", None):
        kwargs["unix_socket_path"] = path
    return redis.asyncio.Redis(**kwargs, socket_connect_timeout=CONNECT_TIMEOUT)
