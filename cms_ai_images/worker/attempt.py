"""One attempt at one task: claim, draw, land, or say why not."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import DatabaseError
from django.utils import timezone

from cms_ai_images import conf, lifecycle, outcomes, progress
from cms_ai_images.exceptions import AIImagesError, GenerationError, LeaseLost, ModelNotAvailable, TaskCancelled
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Fence, PreviewSource, Progress, Status
from cms_ai_images.worker.heartbeat import Hold
from cms_ai_images.worker.landing import land
from cms_ai_images.worker.runtime import Runtime

logger = logging.getLogger(__name__)


def claim(runtime: Runtime, uuid: str) -> GenerationTask | None:
    """Take the task if it still waits; `None` when there is nothing to do, as for a doubled or stale job."""
    task = GenerationTask.objects.select_related("model").filter(uuid=uuid, status=Status.QUEUED).first()
    if task is None:
        return None
    loading = task.model is not None and not runtime.residents.has(task.model)
    taken = lifecycle.claim(
        task,
        worker_id=runtime.worker.pk,
        lease=_in(conf.get("LEASE_SECONDS")),
        deadline=_in(conf.get("TASK_TIMEOUT_SECONDS") + (conf.get("LOAD_TIMEOUT_SECONDS") if loading else 0)),
    )
    if not taken:
        return None
    task.refresh_from_db()
    return task


def carry_out(runtime: Runtime, task: GenerationTask) -> str:
    """Draw a claimed task and land its pictures. Returns the outcome in a word, for RQ's pages.

    Raises the error of a task that failed for good, so that RQ shows it among the failed jobs with its reason.
    """
    fence = task.fence
    assert task.deadline_at is not None  # noqa: S101 - a claim sets it
    with runtime.heartbeat.holding(Hold(fence, task.deadline_at)) as hold:
        try:
            _draw(runtime, task, fence, hold)
            return str(Status.SUCCEEDED)
        except LeaseLost:
            logger.warning("Task %s: attempt %d lost its lease; its result is dropped", task.uuid, task.attempt)
            return "lease lost"
        except TaskCancelled:
            outcomes.cancelled(task, fence)
            return str(Status.CANCELLED)
        except DatabaseError:
            # Nothing can be written now. The lease ends by itself and the reconciler decides.
            logger.exception("Task %s: the database failed", task.uuid)
            raise
        except AIImagesError as error:
            return _failed(task, fence, error)
        except Exception as error:
            # Whatever a backend raises ends the attempt, never the worker.
            logger.exception("Task %s: unexpected error", task.uuid)
            unexpected = GenerationError()
            unexpected.__cause__ = error
            return _failed(task, fence, unexpected)
        finally:
            progress.forget(task.pool, task.uuid)


def _draw(runtime: Runtime, task: GenerationTask, fence: Fence, hold: Hold) -> None:
    if task.model is None:
        raise ModelNotAvailable
    if not runtime.residents.has(task.model):
        backend = runtime.residents.get(task.model)
        runtime.note_models()
        # Loading took its own time; the drawing has all of its own left.
        deadline = _in(conf.get("TASK_TIMEOUT_SECONDS"))
        hold.set_deadline(deadline)
        if not lifecycle.extend_lease(fence, lease=_in(conf.get("LEASE_SECONDS")), deadline=deadline):
            raise LeaseLost
    backend = runtime.residents.get(task.model)

    def on_step(step: int, total: int, previews: PreviewSource | None = None) -> None:
        now_at = Progress(attempt=fence.attempt, step=step, total=total)
        if progress.publish_step(task.pool, task.uuid, now_at):
            hold.cancel()
        hold.check()

    hold.check()
    [pictures] = backend.generate([task.generation_parameters], on_step)
    hold.check()
    land(task, pictures, fence, model_revision=backend.revision or task.model_revision)


def _failed(task: GenerationTask, fence: Fence, error: AIImagesError) -> str:
    status = outcomes.failed(task, fence, error)
    if status == Status.QUEUED:
        logger.warning("Task %s: attempt %d failed (%s) and will be repeated", task.uuid, task.attempt, error.code)
        return f"{error.code}, will be repeated"
    if status is None:
        return "lease lost"
    raise error


def _in(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)
