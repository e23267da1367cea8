"""Requests per minute: a sliding window in Redis, and the person's newest rows while Redis is away.

The `limits` package has such windows too, but what they have counted they do not give back, and a request that is
refused for another reason must not count.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any

from django.utils import timezone
from redis.exceptions import RedisError

from cms_ai_images.connections import RedisRests, first_pool, patient_redis
from cms_ai_images.exceptions import RateLimited
from cms_ai_images.models import GenerationTask

logger = logging.getLogger(__name__)

WINDOW = 60
"""Seconds."""
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local taken = redis.call('ZCARD', KEYS[1])
if taken < limit then
  redis.call('ZADD', KEYS[1], now, ARGV[3])
  redis.call('PEXPIRE', KEYS[1], window)
  return 0
end
local entry = redis.call('ZRANGE', KEYS[1], taken - limit, taken - limit, 'WITHSCORES')
return math.max(1, entry[2] + window - now)
"""
"""Takes a place in the window and returns 0, or returns the milliseconds until one is free. One step, so that requests
at the same moment cannot both take the last place; by the clock of Redis, so web servers need not agree on the time."""


class Place:
    """One request's place among those of its minute."""

    def __init__(self, user: Any, limit: int | None, what: str = "requests") -> None:
        self.user = user
        self.what = what
        self.limit = limit
        self._taken: str | None = None

    def take(self) -> None:
        """Raise `RateLimited` where Redis says that the minute is full. Where it says nothing, the rows will."""
        if self.limit is None:
            return
        taken = uuid.uuid4().hex
        try:
            with patient_redis(first_pool()) as redis:
                wait = redis.register_script(TAKE)(keys=[self._key], args=[self.limit, WINDOW, taken])
        except RedisError as error:
            level = logging.DEBUG if isinstance(error, RedisRests) else logging.WARNING
            logger.log(level, "Requests are counted in the database until Redis is back: %s", error)
            return
        if wait:
            raise _refusal(self.limit, wait / 1000)
        self._taken = taken

    def check_rows(self) -> None:
        """While Redis is away: raise `RateLimited` when the newest rows fill the minute. One row is read.

        Call inside the transaction that stores the task, with its author's account locked.
        """
        if self.limit is None or self._taken is not None:
            return
        own = GenerationTask.objects.filter(user=self.user).order_by("-id")
        oldest = own.values_list("created_at", flat=True)[self.limit - 1 : self.limit].first()
        if oldest is not None and (wait := WINDOW - (timezone.now() - oldest).total_seconds()) > 0:
            raise _refusal(self.limit, wait)

    def give_back(self) -> None:
        """This request does not count: it was refused, or there was nothing to be done."""
        if self._taken is None:
            return
        try:
            with patient_redis(first_pool()) as redis:
                redis.zrem(self._key, self._taken)
        except RedisError as error:
            logger.warning("A request that was not carried out counts for a minute: %s", error)

    @property
    def _key(self) -> str:
        return f"ai-images:rate:{self.what}:{self.user.pk}"


@contextmanager
def counted(user: Any, limit: int | None, what: str = "requests") -> Iterator[Place]:
    """A place among the `limit` requests of this minute, given back where the request comes to nothing.

    Each `what` has a minute of its own.
    """
    place = Place(user, limit, what)
    place.take()
    try:
        yield place
    except BaseException:
        place.give_back()
        raise


def _refusal(limit: int, wait: float) -> RateLimited:
    return RateLimited(limit=limit, retry_after=max(1, ceil(wait)))
