"""Which tasks to draw next: the one whose bell rang, and what can be drawn together with it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import zip_longest

from django.core.exceptions import ImproperlyConfigured
from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from cms_ai_images import conf, lifecycle
from cms_ai_images.backends import get_backend_class
from cms_ai_images.exceptions import AIImagesError
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Status
from cms_ai_images.worker.runtime import Runtime

logger = logging.getLogger(__name__)

WINDOW = 50
"""How many waiting tasks are looked at for companions. A constant, so that a claim costs the same however many wait."""
SAME = ("operation", "width", "height", "steps", "guidance_scale", "strength")
"""Parameters that must be equal for two tasks to be one batch."""


def claim(runtime: Runtime, uuid: str) -> list[GenerationTask]:
    """Take the task if it still waits, and companions for it; empty for a doubled or stale job."""
    first = GenerationTask.objects.select_related("model").filter(uuid=uuid, status=Status.QUEUED).first()
    if first is None:
        return []
    loading = first.model is not None and not runtime.residents.has(first.model)
    seconds = first.time_limit + (conf.get("LOAD_TIMEOUT_SECONDS") if loading else 0)
    deadline = timezone.now() + timedelta(seconds=seconds)
    if not _take(runtime, [first], deadline):
        return []
    claimed = [first]
    room = batch_limit(first) - first.parameters["num_images"]
    if room <= 0 or first.device_losses:
        return claimed
    try:
        with transaction.atomic():
            claimed += _take(runtime, companions(runtime, first, room), deadline)
    except Exception:
        # Company is a gain, no need: the first one is claimed, and would otherwise wait for its lease to end.
        logger.exception("Task %s is drawn alone", first.uuid)
        close_old_connections()
    return claimed


def batch_limit(task: GenerationTask) -> int:
    """How many pictures of this size its model draws at once: `max_batch`, a number or one for each size.

    1 where the model says nothing sensible, or its backend is unknown: loading it tells what is wrong.
    """
    model = task.model
    try:
        if model is None or not get_backend_class(model.backend).supports_batches:
            return 1
        limit = model.options.get("max_batch", 1)
        if isinstance(limit, dict):
            size = f"{task.parameters['width']}x{task.parameters['height']}"
            limit = limit.get(size, limit.get("default", 1))
        return int(limit)
    except (AIImagesError, ImproperlyConfigured, TypeError, ValueError) as error:
        logger.warning("Task %s is drawn alone: %s", task.uuid, error)
        return 1


def companions(runtime: Runtime, first: GenerationTask, room: int) -> list[GenerationTask]:
    """Waiting tasks that can be drawn with this one, at most `room` pictures, taking turns between authors.

    The backend decides what goes together. A task whose attempt ended with its GPU is drawn alone: if it is to blame,
    it takes nobody along, and if not, it is not taken along again.

    Call inside a transaction: where the database can, the rows are locked, and rows that another worker has locked
    are passed over.
    """
    waiting = (
        GenerationTask.objects.filter(status=Status.QUEUED, pool=first.pool, available_at__lte=timezone.now())
        .exclude(pk=first.pk)
        .order_by("-priority", "available_at", "pk")
    )
    if connection.features.has_select_for_update_skip_locked:
        waiting = waiting.select_for_update(skip_locked=True)
    assert first.model is not None  # noqa: S101 - what has no model has no room
    backend = runtime.residents.peek(first.model)
    parameters = first.generation_parameters
    key = backend.batch_key(parameters)
    if (fitting := backend.fitting.get((parameters.width, parameters.height))) is not None:
        room = min(room, fitting - parameters.num_images)
    chosen = []
    for task in _by_turns(task for task in waiting[:WINDOW] if _looks_compatible(first, task)):
        fits = task.parameters["num_images"] <= room
        if fits and backend.batch_key(task.generation_parameters) == key:  # a tokenizer's work: asked last
            room -= task.parameters["num_images"]
            chosen.append(task)
    return chosen


def _looks_compatible(first: GenerationTask, other: GenerationTask) -> bool:
    """As far as the rows tell; the rest is `Backend.batch_key`."""
    return (
        other.model_id == first.model_id
        and not other.device_losses
        and other.time_limit == first.time_limit
        and all(first.parameters[name] == other.parameters[name] for name in SAME)
    )


def _by_turns(tasks: Iterable[GenerationTask]) -> Iterator[GenerationTask]:
    """One task of each author, then a second one of each, and so on; priorities stay in order."""
    lines: dict[int, dict[int | None, list[GenerationTask]]] = defaultdict(lambda: defaultdict(list))
    for task in tasks:
        lines[task.priority][task.user_id].append(task)
    for authors in lines.values():
        for turn in zip_longest(*authors.values()):
            yield from (task for task in turn if task is not None)


def _take(runtime: Runtime, tasks: list[GenerationTask], deadline: datetime) -> list[GenerationTask]:
    """Claim each; those that somebody else was faster with are left out."""
    lease = timezone.now() + timedelta(seconds=conf.get("LEASE_SECONDS"))
    return [
        task for task in tasks if lifecycle.claim(task, worker_id=runtime.worker.pk, lease=lease, deadline=deadline)
    ]
