"""One attempt at a batch of claimed tasks: load, draw, and hand over to the landing."""

from __future__ import annotations

import logging
import time

from django.db import DatabaseError

from cms_ai_images import conf, progress
from cms_ai_images.backends.base import Backend
from cms_ai_images.exceptions import DeviceLost, ModelNotAvailable, OutOfMemory
from cms_ai_images.models import GenerationTask
from cms_ai_images.worker import inputs
from cms_ai_images.worker.batch import BatchOver, Member, Steps, give_time, join, leave, leave_time
from cms_ai_images.worker.ending import FAILED, as_ai_images_error
from cms_ai_images.worker.lander import Landing
from cms_ai_images.worker.runtime import Runtime

logger = logging.getLogger(__name__)

DRAWN = "drawn"
"""The outcome of a task whose pictures the landing thread has."""


def carry_out(runtime: Runtime, tasks: list[GenerationTask]) -> str:
    """Draw claimed tasks and hand their pictures to the landing thread. Returns the first one's outcome in a word.

    Raises the error of a first task that failed for good, so that RQ shows it with its reason.
    """
    members = join(runtime.heartbeat, tasks)
    try:
        _try(runtime, members)
    finally:
        # After a database error nothing can be written: the leases must end by themselves, and the reconciler decides.
        for member in members:
            if member.ended != DRAWN:
                runtime.heartbeat.release(member.hold)
    first = members[0]
    if first.error is not None and first.ended.startswith(FAILED):
        raise first.error
    return first.ended


def _try(runtime: Runtime, members: list[Member]) -> None:
    """Draw what can be drawn and end the attempt of the others. Lets database errors through, and nothing else."""
    try:
        backend = _ready(runtime, members)
        inputs.fetch(runtime.heartbeat, members)
        _draw(runtime, backend, members)
    except BatchOver:
        pass
    except DatabaseError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a library raises ends the attempt, never the worker
        if isinstance(error, DeviceLost):
            runtime.must_restart = runtime.must_stop = True
        for member in members:
            if not member.ended:
                leave(runtime.heartbeat, member, error)


def _ready(runtime: Runtime, members: list[Member]) -> Backend:
    """The loaded backend. Loading takes its own time; the drawing then has all of its own left."""
    model = members[0].task.model
    if model is None:
        raise ModelNotAvailable
    was_loaded = runtime.residents.has(model)
    backend = runtime.residents.get(model)
    if not was_loaded:
        runtime.note_models()
        give_time(runtime.heartbeat, members, members[0].task.time_limit)
    return backend


def _draw(runtime: Runtime, backend: Backend, members: list[Member]) -> None:
    """Draw them in one call. What fails for all is tried again in halves, so that one that fails fails alone.

    Each call has all of its time, which is the same for all, whatever the calls before it have used of theirs.
    """
    calls = [members]
    while calls:
        call, *calls = calls
        call = [member for member in call if not member.ended]
        try:
            _draw_together(runtime, backend, call, behind=[member for waiting in calls for member in waiting])
        except BatchOver:
            pass
        except (DeviceLost, DatabaseError):
            raise  # in halves it would fail, too
        except Exception as error:  # noqa: BLE001 - a backend may let through what its libraries raise
            halves = _halves(runtime, call, error)
            if halves and isinstance(error, OutOfMemory):
                _learn(backend, halves)
            calls = [*halves, *calls]
        for turn, waiting in enumerate(calls):
            # The next one begins now, and as soon as it ends the others are given time again.
            give_time(runtime.heartbeat, waiting, members[0].task.time_limit * min(turn + 1, 2))


def _halves(runtime: Runtime, members: list[Member], error: Exception) -> list[list[Member]]:
    """The calls to make after one has failed; none when it was for a single task, whose attempt ends."""
    members = [member for member in members if not member.ended]
    if len(members) <= 1:
        for member in members:
            leave(runtime.heartbeat, member, error)
        return []
    reason = as_ai_images_error(error)
    logger.warning(
        "A batch of %d failed (%s) and is drawn in halves", len(members), reason.code, exc_info=reason.__cause__
    )
    half = len(members) // 2
    return [members[:half], members[half:]]


def _learn(backend: Backend, halves: list[list[Member]]) -> None:
    """Claim no more together than may fit, for as long as the model is loaded. The backend may know better."""
    parameters = halves[0][0].parameters
    size = parameters.width, parameters.height
    pictures = max(sum(member.task.parameters["num_images"] for member in half) for half in halves)
    backend.fitting[size] = min(pictures, backend.fitting.get(size, pictures))


def _draw_together(runtime: Runtime, backend: Backend, members: list[Member], behind: list[Member]) -> None:
    """One call of the backend. Raises `BatchOver` when nobody wants its pictures, and whatever the backend raises.

    Those `behind` wait for a call of their own.
    """
    steps = Steps(runtime.heartbeat, members)
    begun = time.monotonic()
    steps.check()
    pictures = backend.generate([member.parameters for member in members], steps)
    steps.check()
    first = members[0].task
    progress.note_pace(first.pool, first.model_id, (time.monotonic() - begun) / len(members))
    # All have time before the first one is handed over: that waits while the backlog is full. The one that is landing
    # now, those that wait and these have their turns until then; the time of each begins anew with its turn.
    seconds = conf.get("LANDING_TIMEOUT_SECONDS") * (1 + runtime.lander.waiting + len(members))
    leave_time(runtime.heartbeat, members, seconds)
    leave_time(runtime.heartbeat, behind, seconds + first.time_limit)
    for member, own in zip(members, pictures, strict=True):
        if not member.ended:
            member.ended = DRAWN
            runtime.lander.submit(Landing(member=member, pictures=own, model_revision=backend.revision))
