"""Tasks that are drawn together, each with a life of its own.

One may be cancelled, run out of time or be taken over by another worker without disturbing the others.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from cms_ai_images import conf, lifecycle, progress
from cms_ai_images.exceptions import AIImagesError, LeaseLost
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Fence, GenerationParameters, PreviewSource, Progress
from cms_ai_images.worker.ending import end
from cms_ai_images.worker.heartbeat import Heartbeat
from cms_ai_images.worker.hold import Hold
from cms_ai_images.worker.previews import Previews

logger = logging.getLogger(__name__)

NOTICE_SECONDS = 0.1
"""Nobody sees progress move more often, and a model with steps of 20 ms would feel what telling it costs.

Cancellations are heard at once all the same (`ImageWorker.subscribe`)."""


@dataclasses.dataclass(kw_only=True)
class Member:
    """A task of a batch. `ended` tells its outcome as soon as it has one."""

    task: GenerationTask
    parameters: GenerationParameters
    fence: Fence
    hold: Hold
    ended: str = ""
    error: Exception | None = None


class BatchOver(Exception):
    """Nobody wants any picture of the batch any more."""


def join(heartbeat: Heartbeat, tasks: list[GenerationTask]) -> list[Member]:
    """Members for claimed tasks; their leases are kept from now on."""
    members = []
    for task in tasks:
        assert task.deadline_at is not None  # noqa: S101 - a claim sets it
        member = Member(
            task=task,
            parameters=task.generation_parameters,
            fence=task.fence,
            hold=Hold(task.uuid, task.fence, task.deadline_at, task.time_limit),
        )
        heartbeat.keep(member.hold)
        members.append(member)
    return members


def leave(heartbeat: Heartbeat, member: Member, error: Exception) -> None:
    """End one member's attempt and let go of its lease."""
    member.error = error
    try:
        member.ended = end(member.task, member.fence, error)
    finally:
        heartbeat.release(member.hold)
        progress.forget(member.task.pool, member.task.uuid)


def move_deadline(member: Member, seconds: float) -> None:
    """Give the next stage its own time. Raises `LeaseLost` when the task is no longer ours."""
    now = timezone.now()
    deadline = now + timedelta(seconds=seconds)
    lease = now + timedelta(seconds=conf.get("LEASE_SECONDS"))
    if not lifecycle.extend_lease(member.fence, lease=lease, deadline=deadline):
        raise LeaseLost
    member.hold.set_deadline(deadline, seconds)


def give_time(heartbeat: Heartbeat, members: Iterable[Member], seconds: float) -> None:
    """Give the next stage of these its own time. One that is no longer ours leaves, and takes nobody along."""
    for member in members:
        if member.ended:
            continue
        try:
            move_deadline(member, seconds)
        except LeaseLost as error:
            leave(heartbeat, member, error)


def leave_time(heartbeat: Heartbeat, members: Iterable[Member], seconds: float) -> None:
    """The same where less is left of the stage before; mostly there is more, and nothing to write."""
    give_time(heartbeat, [member for member in members if member.hold.seconds_left < seconds], seconds)


class Steps:
    """The step callback of one call of a backend, for the members drawn in it."""

    def __init__(self, heartbeat: Heartbeat, members: list[Member]) -> None:
        self.heartbeat = heartbeat
        self.members = members
        self.previews = Previews()
        self.begun = self._next_notice = time.monotonic()

    def __call__(self, step: int, total: int, previews: PreviewSource | None = None) -> None:
        """Publish progress, then let go of members that must stop. Raises `BatchOver` when none is left."""
        pictures, now = self.previews.due(step, total, previews), time.monotonic()
        if pictures or step == total or now >= self._next_notice:
            self._next_notice = now + NOTICE_SECONDS
            unwanted = self._publish(step, total, pictures or [[] for _ in self.members])
            for member in self.members:
                if member.task.uuid in unwanted:
                    member.hold.cancel()
        self.check()

    def _publish(self, step: int, total: int, pictures: list[list[bytes]]) -> set[UUID]:
        """Returns whose cancellation was asked for."""
        eta = round((time.monotonic() - self.begun) / step * (total - step))
        steps = [
            (member.task.uuid, Progress(attempt=member.fence.attempt, step=step, total=total, eta_seconds=eta), small)
            for member, small in zip(self.members, pictures, strict=True)
            if not member.ended
        ]
        return progress.publish_steps(self.members[0].task.pool, steps)

    def check(self) -> None:
        """Let go of members that must stop. Raises `BatchOver` when none is left."""
        for member in self.members:
            if member.ended:
                continue
            try:
                member.hold.check()
            except AIImagesError as error:
                leave(self.heartbeat, member, error)
        if all(member.ended for member in self.members):
            raise BatchOver
