"""The same `Idempotency-Key` again leads to the same task, however often and however many at once.

A client that heard no answer cannot know whether its request was carried out. With a key it may just repeat it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from cms_ai_images import services
from cms_ai_images.exceptions import IdempotencyKeyReused, InvalidRequest
from cms_ai_images.models import GenerationTask, IdempotencyKey
from cms_ai_images.types import GenerationRequest

HEADER = "Idempotency-Key"
LENGTH = 255
"""Most characters of a key."""
KEPT = timedelta(hours=24)
"""How long a key is remembered."""


def request_once(user: Any, key: str, request: GenerationRequest) -> tuple[GenerationTask, bool]:
    """The task of this key, and whether it was there already; else a new one.

    The row of the key and the task are one transaction: whoever comes with the same key at the same moment waits for
    it at the unique index. A request that is refused leaves no key behind. Raises `InvalidRequest` for what is no key,
    `IdempotencyKeyReused`, and whatever `services.request_generation` does.
    """
    if not 0 < len(key) <= LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidRequest(field=HEADER)
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(request), sort_keys=True).encode()).hexdigest()
    with transaction.atomic():
        IdempotencyKey.objects.filter(user=user, key=key, created_at__lt=timezone.now() - KEPT).delete()
        record, is_new = IdempotencyKey.objects.select_related("task").get_or_create(
            user=user, key=key, defaults={"request_hash": digest}
        )
        if not is_new:
            if record.request_hash != digest or record.task is None:
                raise IdempotencyKeyReused
            return record.task, True
        task = services.request_generation(user, request)
        IdempotencyKey.objects.filter(pk=record.pk).update(task=task)
    return task, False


def purge() -> int:
    """Forget the old ones; returns how many."""
    return IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]
