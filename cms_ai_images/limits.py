"""How much one person may ask for: the setting `LIMITS`, and for members of a group what its `GroupLimits` say.

What counts rows must be called under the lock of the person's account, or two requests at the same moment would both
find the last place free.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from django.db import connection
from django.db.models import QuerySet, Sum

from cms_ai_images import conf
from cms_ai_images.exceptions import QueueFull, StorageFull, TooManyTasks
from cms_ai_images.models import GeneratedImage, GenerationModel, GenerationTask, GroupLimits, ReferencePicture
from cms_ai_images.types import Limits, ReviewState, Status

MIB = 1024 * 1024
BYTES_PER_PIXEL = 3
"""What a stored picture cannot exceed by much: 8 bits for each of three colours, not compressed."""


NUMBERS = [field.name for field in dataclasses.fields(Limits) if field.name != "operations"]


def of(user: Any) -> Limits:
    """This person's limits: the most generous of their groups', where a group has an opinion. One query."""
    rows = list(GroupLimits.objects.filter(group__user=user).order_by().values(*NUMBERS, "operations"))
    site = conf.get("LIMITS")
    opinions = {name: [row[name] for row in rows if row[name] is not None] for name in NUMBERS}
    numbers: dict[str, Any] = {
        name: _most_generous(opinions[name]) if opinions[name] else site[name] for name in NUMBERS
    }
    operations = {operation for row in rows for operation in row["operations"]}
    return Limits(**numbers, operations=tuple(sorted(operations)) or None)


def _most_generous(opinions: list[int]) -> int | None:
    return None if 0 in opinions else max(opinions)


def check_room(task: GenerationTask, limits: Limits) -> None:
    """Raise `TooManyTasks`, `StorageFull` or `QueueFull` unless this task, not yet queued, has a place.

    Call inside the transaction that queues it, with its author's account locked.
    """
    most = limits.active_tasks
    if most is not None and active_tasks(task.user)[:most].count() >= most:
        raise TooManyTasks(limit=most)
    check_storage(task.user, _largest(task.parameters), limits)
    if limits.queue_length is not None:
        _check_queue(task.pool, limits.queue_length)


def active_tasks(user: Any) -> QuerySet[GenerationTask]:
    """What this person has waiting or being drawn, found without reading their history."""
    return GenerationTask.objects.filter(user=user, finished_at=None, status__in=Status.active()).order_by()


def check_storage(user: Any, more: int, limits: Limits) -> None:
    """Raise `StorageFull` unless there is room for so many bytes more; without a limit nothing is asked.

    What lies there counts, and what is on its way at its largest: only then the limit holds. Call with this person's
    account locked, but for a first look.
    """
    if (limit := limits.storage_mib) is None:
        return
    stored = _stored(user)
    on_their_way = sum(map(_largest, active_tasks(user).values_list("parameters", flat=True)))
    if stored + on_their_way + more > limit * MIB:
        raise StorageFull(used=round(stored / MIB), limit=limit)


def _stored(user: Any) -> int:
    """Bytes of this person on the draft storage."""
    drafts = GeneratedImage.objects.filter(task__user=user, review_state=ReviewState.DRAFT)
    brought = ReferencePicture.objects.filter(user=user)
    return sum(rows.aggregate(all=Sum("byte_size"))["all"] or 0 for rows in (drafts, brought))


def _largest(parameters: dict[str, Any]) -> int:
    """Bytes that the pictures of a task can take."""
    return int(parameters["width"] * parameters["height"] * parameters["num_images"] * BYTES_PER_PIXEL)


def _check_queue(pool: str, limit: int) -> None:
    """The queue is everybody's: whoever is limited by its length waits for each other at the pool's models."""
    models = GenerationModel.objects.filter(pool=pool).order_by("pk")
    list(models.select_for_update(no_key=connection.features.has_select_for_no_key_update).values_list("pk", flat=True))
    waiting = GenerationTask.objects.filter(status=Status.QUEUED, pool=pool).order_by()
    if waiting[:limit].count() >= limit:
        raise QueueFull(limit=limit)
