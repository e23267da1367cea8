"""How whatever stopped an attempt becomes the task's outcome."""

from __future__ import annotations

import logging

from django.db import DatabaseError

from cms_ai_images import outcomes
from cms_ai_images.exceptions import AIImagesError, GenerationError, LeaseLost, TaskCancelled, WorkerStopping
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Fence, Status

logger = logging.getLogger(__name__)

FAILED = "failed: "
"""How the outcome of a task begins that failed for good."""
CANCELLED = "cancelled"


def end(task: GenerationTask, fence: Fence, error: Exception) -> str:
    """Write the outcome of an attempt that raised this. Returns it in a few words, for RQ's pages and the log.

    A database error is let through: nothing can be written then. The lease ends by itself and the reconciler decides.
    """
    if isinstance(error, DatabaseError):
        raise error
    if isinstance(error, LeaseLost):
        outcome = "lease lost, result dropped"
    elif isinstance(error, TaskCancelled):
        outcomes.cancelled(task, fence)
        outcome = CANCELLED
    elif isinstance(error, WorkerStopping):
        outcome = CANCELLED if outcomes.handed_back(task, fence) == Status.CANCELLED else "handed back"
    else:
        outcome = _failed(task, fence, as_ai_images_error(error))
    logger.warning("Task %s, attempt %d: %s", task.uuid, fence.attempt, outcome, exc_info=_unexpected(error))
    return outcome


def as_ai_images_error(error: Exception) -> AIImagesError:
    """One of ours; whatever else a library raised ends the attempt, never the worker."""
    if isinstance(error, AIImagesError):
        return error
    failure = GenerationError()
    failure.__cause__ = error
    return failure


def _failed(task: GenerationTask, fence: Fence, error: AIImagesError) -> str:
    status = outcomes.failed(task, fence, error)
    if status is None:
        return "lease lost"
    if status == Status.CANCELLED:
        return CANCELLED
    return f"{error.code}, will be repeated" if status == Status.QUEUED else f"{FAILED}{error.code}"


def _unexpected(error: Exception) -> Exception | None:
    """The error whose traceback belongs into the log."""
    return error.__cause__ if isinstance(error, AIImagesError) else error  # type: ignore[return-value]
