"""The same `Idempotency-Key` again leads to the same task, however often and however many at once.

A client that heard no answer cannot know whether its request was carried out. With a key it may just repeat it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from redis.exceptions import RedisError

from cms_ai_images import conf, services
from cms_ai_images.connections import first_pool, patient_redis
from cms_ai_images.exceptions import IdempotencyKeyReused, InvalidRequest
from cms_ai_images.models import GenerationTask, IdempotencyKey
from cms_ai_images.types import GenerationRequest, ReferenceKind

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
LENGTH = 255
"""Most characters of a key."""
KEY = re.compile(rf"[!-~]{{1,{LENGTH}}}")
KEPT = timedelta(hours=24)
"""How long a key is remembered."""
TURN_SECONDS = 5
"""How long a request with the same key is waited for, not counting the pictures that it fetches."""
PAUSE = 0.1
"""Seconds between two looks at whose turn it is."""


def request_once(user: Any, key: str, request: GenerationRequest) -> tuple[GenerationTask, bool]:
    """The task of this key, and whether it was there already; else a new one.

    The row of the key and the task are one transaction, so there is never one without the other, and of two the unique
    index lets one through. Reference pictures are fetched before it. A request that is refused leaves no key behind.
    Raises `InvalidRequest` for what is no key, `IdempotencyKeyReused`, and whatever `services.request_generation` does.
    """
    if not KEY.fullmatch(key):
        raise InvalidRequest(field=HEADER)
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(request), sort_keys=True).encode()).hexdigest()
    with _turn(user, key, request):
        if task := _known(user, key, digest):
            return task, True
        with services.prepared(user, request) as ready, transaction.atomic():
            IdempotencyKey.objects.filter(user=user, key=key, created_at__lt=timezone.now() - KEPT).delete()
            try:
                with transaction.atomic():
                    record = IdempotencyKey.objects.create(user=user, key=key, request_hash=digest)
            except IntegrityError:  # there all the same; on PostgreSQL its transaction was waited for
                return _task_of(IdempotencyKey.objects.get(user=user, key=key), digest), True
            task = ready.store()
            IdempotencyKey.objects.filter(pk=record.pk).update(task=task)
    return task, False


def _known(user: Any, key: str, digest: str) -> GenerationTask | None:
    """The task that this key led to."""
    kept = IdempotencyKey.objects.filter(user=user, key=key, created_at__gte=timezone.now() - KEPT)
    record = kept.select_related("task").first()
    return None if record is None else _task_of(record, digest)


def _task_of(record: IdempotencyKey, digest: str) -> GenerationTask:
    if record.request_hash != digest or record.task is None:
        raise IdempotencyKeyReused
    return record.task


@contextmanager
def _turn(user: Any, key: str, request: GenerationRequest) -> Iterator[None]:
    """One at a time of those that come with this key: the others shall neither fetch nor count what it has already.

    Redis keeps the turns, and only as long as a request may take: whoever holds one may be killed. Without Redis some
    work is done twice, and nothing worse.
    """
    addresses = sum(reference.kind == ReferenceKind.URL for reference in request.references)
    seconds = TURN_SECONDS + addresses * conf.get("REMOTE_PICTURE_SECONDS")
    name = f"ai-images:key:{user.pk}:{hashlib.sha256(key.encode()).hexdigest()}"
    until = time.monotonic() + seconds
    held = None
    try:
        while held is None and time.monotonic() < until:
            with patient_redis(first_pool()) as redis:
                lock = redis.lock(name, timeout=seconds)
                held = lock if lock.acquire(blocking=False) else None
            if held is None:
                time.sleep(PAUSE)
    except RedisError as error:
        logger.debug("Nobody takes turns while Redis is away: %s", error)
    try:
        yield
    finally:
        if held is not None:
            with suppress(RedisError):  # it ends by itself, or has done so
                held.release()


def purge() -> int:
    """Forget the old ones; returns how many."""
    return IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]
