"""Sets right what a dead process left behind. Every step can be repeated, by any number of processes at once.

Runs in every worker every few seconds, and as `manage.py ai_images_reconcile`.
"""

from __future__ import annotations

import dataclasses
import logging
from datetime import timedelta
from functools import cache

from django.utils import timezone
from redis.exceptions import RedisError

from cms_ai_images import outcomes, queue
from cms_ai_images.exceptions import AIImagesError, WorkerLost
from cms_ai_images.library import intake
from cms_ai_images.models import GeneratedImage, GenerationTask
from cms_ai_images.types import PictureDetails, ReviewState, Status

logger = logging.getLogger(__name__)

GRACE = timedelta(seconds=2)
"""How long a fresh task's own dispatch, or a worker's own acceptance, may take before somebody else does it."""
LIMIT = 500
"""Rows looked at in one pass."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """How many tasks, or pictures, each step set right."""

    leases: int = 0
    dispatched: int = 0
    accepted: int = 0


def run() -> Report:
    """One pass over everything that may have been left behind."""
    return Report(leases=end_lost_leases(), dispatched=dispatch_forgotten(), accepted=accept_forgotten())


def end_lost_leases() -> int:
    """Queue again, or fail, what a worker stopped working on without saying so."""
    lost = GenerationTask.objects.filter(status=Status.RUNNING, lease_expires_at__lt=timezone.now())[:LIMIT]
    ended = 0
    for task in lost:
        dead_job = f"{task.uuid}-{task.attempt}"
        fence = dataclasses.replace(task.fence, lease=task.lease_expires_at)
        if task.cancel_requested_at is not None:
            was_lost = outcomes.cancelled(task, fence)
        else:
            was_lost = outcomes.failed(task, fence, WorkerLost()) is not None
        if not was_lost:
            continue  # its worker renewed it at this moment, or somebody else was faster
        ended += 1
        logger.warning("Task %s: its lease ended in attempt %d", task.uuid, task.attempt)
        try:
            queue.release(task, dead_job)
        except RedisError as error:
            logger.warning("The place of job %s is kept until Redis is back: %s", dead_job, error)
    return ended


def dispatch_forgotten() -> int:
    """Enqueue the queued tasks whose time has come and whose job RQ does not know."""
    now = timezone.now()
    waiting = GenerationTask.objects.filter(
        status=Status.QUEUED, available_at__lte=now, created_at__lt=now - GRACE
    ).order_by("-priority", "available_at", "pk")[:LIMIT]
    known_jobs, held_jobs = cache(queue.known_jobs), cache(_held_jobs)
    of_author: dict[str, GenerationTask] = {}
    dispatched = 0
    for task in waiting:
        job = queue.job_id(task)
        try:
            if job in known_jobs(task.pool, task.priority):
                continue
            if job in held_jobs(of_author.setdefault(queue.limit_key(task), task)):
                continue
            queue.release(task, job)
        except RedisError as error:
            logger.warning("Redis is away; %s waits: %s", task.uuid, error)
            return dispatched
        dispatched += queue.dispatch(task)
    return dispatched


def _held_jobs(task: GenerationTask) -> set[str]:
    """The author's jobs that RQ holds back. Those that it holds back for nothing move on, and the next pass sees it."""
    held = queue.held_jobs(task)
    if held:
        queue.release_ended(task)
    return held


def accept_forgotten() -> int:
    """Put into the library what was to be accepted at once, but whose worker died before it could."""
    forgotten = GeneratedImage.objects.filter(
        review_state=ReviewState.DRAFT,
        task__auto_accept=True,
        task__status=Status.SUCCEEDED,
        created_at__lt=timezone.now() - GRACE,
    ).select_related("task")[:LIMIT]
    accepted = 0
    for image in forgotten:
        try:
            intake.accept(image, PictureDetails())
            accepted += 1
        except AIImagesError as error:
            logger.warning("Image %s could not be accepted: %s", image.uuid, error)
    return accepted
