"""What people can do, and the only write path for every user interface.

Each function checks who asks, says no with an `AIImagesError`, and leaves the outside world (Redis, storages) to what
runs after the commit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cms_ai_images import audit, conf, credits, health, lifecycle, limits, outcomes, progress, queue, rates
from cms_ai_images.exceptions import (
    AlreadyAccepted,
    ModelNotAvailable,
    NotFound,
    NotLoggedIn,
    NotPermitted,
    NoWorker,
    StateConflict,
)
from cms_ai_images.library import drafts, intake, references
from cms_ai_images.models import CreditAccount, GeneratedImage, GenerationModel, GenerationTask, ReferencePicture
from cms_ai_images.resolution import Resolved, models_for, resolve, with_references
from cms_ai_images.types import STANDARD, GenerationRequest, PictureDetails, ReviewState, Status

PERMISSION = "cms_ai_images.generate"
SEE_ALL = ("cms_ai_images.view_all_tasks", "cms_ai_images.view_generationtask")
"""Either lets somebody look at everybody's tasks; drafts stay their authors'."""


def request_generation(user: Any, request: GenerationRequest) -> GenerationTask:
    """Store a task and queue it. Costs a handful of queries and never waits for a worker.

    The same request with an explicit seed returns the author's existing task. Raises whatever is wrong with the
    request, `NotPermitted`, `NoWorker`, `InsufficientCredits` or one of the limits (`RateLimited`, `TooManyTasks`,
    `StorageFull`, `QueueFull`); then nothing is stored, and it does not count. When Redis is away the task is stored
    all the same and drawn when Redis is back.
    """
    with prepared(user, request) as ready:
        return ready.store()


@contextmanager
def prepared(user: Any, request: GenerationRequest) -> Iterator[Prepared]:
    """All of that which needs no transaction: enter it outside of one, for reference pictures may have to be fetched.

    What it gives is to be stored inside. A request that is not stored in the end does not count.
    """
    check_permission(user)
    resolved = resolve(user, request)
    ready = Prepared(user=user, request=request, resolved=resolved)
    if not request.references and (same := ready.find_same()):
        ready.same = same
        yield ready
    else:
        _check_worker(resolved.model)
        with rates.counted(user, resolved.limits.requests_per_minute) as ready.place:
            if pictures := references.gather(user, request.references):
                ready.pictures, ready.resolved = pictures, with_references(resolved, pictures)
            yield ready
            if not ready.is_stored:
                ready.place.give_back()
    if ready.same is not None:
        _accept_too(ready.same, ready.resolved)


@dataclasses.dataclass(kw_only=True)
class Prepared:
    """A request that may be carried out, if there is still room for it."""

    user: Any
    request: GenerationRequest
    resolved: Resolved
    pictures: Sequence[ReferencePicture] = ()
    place: rates.Place | None = None
    """Its place among those of this minute; none where the pictures are there already."""
    same: GenerationTask | None = None
    """The author's task that has these pictures, or will have them."""
    is_stored: bool = False

    def find_same(self) -> GenerationTask | None:
        """Only where the author says which pictures they want, by their seed."""
        may_be_there = self.request.seed is not None and self.request.reuse
        return _same_pictures(self.user, self.resolved) if may_be_there else None

    def store(self) -> GenerationTask:
        """The new task, or the one that has the same pictures."""
        if self.same is None:
            with transaction.atomic():
                account = credits.lock(self.user)  # one person's requests wait for each other here
                self.same = self.find_same()
                if self.same is None:
                    if self.place is not None:
                        self.place.check_rows()
                    task = _store(self.user, self.request, self.resolved, account, self.pictures)
                    self.is_stored = True
                    return task
        return self.same


def keep_reference(user: Any, data: bytes) -> ReferencePicture:
    """Clean a picture that somebody brings and keep it, for requests to start from.

    As many a minute as requests, counted apart from them.

    Raises what `safety.upload` refuses, `RateLimited`, `StorageFull` or `StorageUnavailable`.
    """
    check_permission(user)
    allowed = limits.of(user)
    with rates.counted(user, allowed.requests_per_minute, what="references"):
        limits.check_storage(user, 1, allowed)
        return references.keep(user, data)


def forget_reference(user: Any, reference: ReferencePicture) -> None:
    """Delete a picture that somebody brought. Raises `ReferenceInUse` while a task needs it."""
    check_permission(user)
    if reference.user_id != user.pk:
        raise NotFound
    references.forget(reference)


def cancel(user: Any, task: GenerationTask) -> GenerationTask:
    """End a waiting task at once and a running one within a step. Cancelling twice is no error."""
    check_manager(user, task)
    return stop(task, by=user)


def stop(task: GenerationTask, *, by: Any = None) -> GenerationTask:
    """The same for an operator who stops a job in RQ's pages, where nobody is known by name."""
    while not _cancel(by, task):
        task.refresh_from_db()
        if task.is_final:
            break
    task.refresh_from_db()
    if task.status in (Status.SUCCEEDED, Status.FAILED):
        raise StateConflict(status=task.get_status_display())
    return task


def retry(user: Any, task: GenerationTask) -> GenerationTask:
    """Queue a failed or cancelled task again, as it was frozen, at today's price."""
    check_manager(user, task)
    if task.user_id != user.pk:
        return repeat(task, by=user)  # an operator's help is nobody's request
    allowed = limits.of(user)
    if not allowed.allows(task.operation) or task.model not in models_for(user):
        raise ModelNotAvailable  # it was once
    with rates.counted(user, allowed.requests_per_minute) as place, transaction.atomic():
        credits.lock(user)
        place.check_rows()
        limits.check_room(task, allowed)
        return repeat(task, by=user)


def repeat(task: GenerationTask, *, by: Any = None) -> GenerationTask:
    """The same for an operator who starts a failed job again in RQ's pages, where nobody is known by name."""
    model = task.model
    if model is None or not model.enabled:
        raise ModelNotAvailable
    _check_worker(model)
    with transaction.atomic():
        # The account before the task, as for a new request: whoever takes both locks takes them in the same order.
        account = credits.lock(task.user) if task.user else None
        moved = task.status != Status.RUNNING and lifecycle.transition(
            task,
            Status.QUEUED,
            source=Status(task.status),
            guard={"charge_round": task.charge_round},  # else a stale row would be charged for a round a second time
            failures=0,
            device_losses=0,
            error_code="",
            error_message="",
            error_params={},
            worker=None,
            available_at=timezone.now(),
            started_at=None,
            finished_at=None,
            cancel_requested_at=None,
            charge_round=task.charge_round + 1,
            cost=_cost(model, task.operation, task.request.get("quality", STANDARD), task.parameters["num_images"]),
        )
        task.refresh_from_db()
        if not moved:
            raise StateConflict(status=task.get_status_display())
        credits.reserve(task, account)
        audit.record(audit.Action.RETRIED, task, by=by, points=task.cost)
        progress.forget(task.pool, task.uuid)
        transaction.on_commit(partial(queue.dispatch, task), robust=True)
    return task


def accept(user: Any, image: GeneratedImage, details: PictureDetails) -> Any:
    """Put a picture into the media library; returns its filer image, the same one when asked twice."""
    check_owner(user, image.task)
    return intake.accept(image, details)


def discard(user: Any, image: GeneratedImage) -> GeneratedImage:
    """Throw a draft away. Discarding twice is no error; an accepted picture is the library's (`AlreadyAccepted`)."""
    check_owner(user, image.task)
    key = str(image.file.name)
    with transaction.atomic():
        discarded = GeneratedImage.objects.filter(pk=image.pk, review_state=ReviewState.DRAFT).update(
            review_state=ReviewState.DISCARDED, reviewed_at=timezone.now(), file=""
        )
        if discarded:
            audit.record(audit.Action.DISCARDED, image, by=user, task=image.task.uuid)
            transaction.on_commit(partial(drafts.delete, key), robust=True)
    image.refresh_from_db()
    if image.review_state == ReviewState.ACCEPTED:
        raise AlreadyAccepted
    return image


def put_away(user: Any, task: GenerationTask) -> None:
    """Note that the author has looked at the drafts and wants none of them now. They stay until they are purged."""
    check_owner(user, task)
    task.images.filter(review_state=ReviewState.DRAFT, reviewed_at=None).update(reviewed_at=timezone.now())


def delete(user: Any, task: GenerationTask) -> None:
    """Take a task out of its author's history, with its drafts. Library files, ledger and audit trail outlive it.

    A waiting task is cancelled, so its points come back. Raises `StateConflict` while it runs: cancel it first.
    """
    check_owner(user, task)
    with transaction.atomic():
        if outcomes.cancelled(task):
            audit.record(audit.Action.CANCELLED, task, by=user)
        locked = GenerationTask.objects.select_for_update().get(pk=task.pk)
        if not locked.is_final:
            raise StateConflict(status=locked.get_status_display())
        keys = [str(key) for key in locked.images.exclude(file="").values_list("file", flat=True)]
        audit.record(audit.Action.DELETED, locked, by=user)
        locked.delete()
        for key in keys:
            transaction.on_commit(partial(drafts.delete, key), robust=True)
        transaction.on_commit(partial(progress.forget, task.pool, task.uuid), robust=True)
        transaction.on_commit(partial(progress.announce, task.pool, task.uuid), robust=True)


def check_permission(user: Any) -> None:
    """Raise `NotLoggedIn` or `NotPermitted` unless this user may generate pictures."""
    if not user.is_authenticated:
        raise NotLoggedIn
    if not user.has_perm(PERMISSION):
        raise NotPermitted(permission=_("Can generate AI images"))


def sees_all(user: Any) -> bool:
    """Whether this user may look at everybody's tasks."""
    return any(map(user.has_perm, SEE_ALL))


def check_owner(user: Any, task: GenerationTask) -> None:
    """Raise `NotFound` unless the task is this user's: that it exists is nobody else's business."""
    check_permission(user)
    if task.user_id != user.pk:
        raise NotFound


def check_manager(user: Any, task: GenerationTask) -> None:
    """The same, but operators (`cms_ai_images.change_generationtask`) may stop and repeat anybody's task."""
    if not user.has_perm("cms_ai_images.change_generationtask"):
        check_owner(user, task)


@transaction.atomic
def _cancel(user: Any, task: GenerationTask) -> bool:
    """`False` when it was neither waiting nor running, which may change in this moment."""
    if not (outcomes.cancelled(task) or _ask_to_stop(task)):
        return False
    if task.cancel_requested_at is None:
        audit.record(audit.Action.CANCELLED, task, by=user)
    return True


def _ask_to_stop(task: GenerationTask) -> bool:
    """`False` unless it runs: in this moment it may have gone back to the queue, or ended."""
    if not GenerationTask.objects.filter(pk=task.pk, status=Status.RUNNING).update(cancel_requested_at=timezone.now()):
        return False
    attempt = GenerationTask.objects.values_list("attempt", flat=True).get(pk=task.pk)  # it may have been claimed since
    transaction.on_commit(partial(progress.request_cancel, task.pool, task.uuid, attempt), robust=True)
    transaction.on_commit(partial(progress.announce, task.pool, task.uuid), robust=True)
    return True


def _same_pictures(user: Any, resolved: Resolved) -> GenerationTask | None:
    """The author's own task that draws, or has drawn, exactly these pixels; nothing is drawn or charged twice."""
    same = GenerationTask.objects.filter(user=user, fingerprint=resolved.fingerprint)
    gone = GeneratedImage.objects.filter(
        task=OuterRef("pk"), review_state__in=[ReviewState.DISCARDED, ReviewState.PURGED]
    )
    lost = GeneratedImage.objects.filter(
        task=OuterRef("pk"), review_state=ReviewState.ACCEPTED, filer_image__isnull=True
    )
    usable = Q(status__in=Status.active(), cancel_requested_at=None) | Q(status=Status.SUCCEEDED)
    return same.filter(usable).exclude(Exists(gone)).exclude(Exists(lost)).order_by("-id").first()


def _accept_too(task: GenerationTask, resolved: Resolved) -> None:
    """The task's pictures go into the library as the repeated request wishes.

    Not under the account's lock: workers lock the task first.
    """
    if resolved.auto_accept and not task.auto_accept:
        GenerationTask.objects.filter(pk=task.pk).update(auto_accept=True)  # the reconciler accepts what is drawn
        task.refresh_from_db()


def _store(
    user: Any,
    request: GenerationRequest,
    resolved: Resolved,
    account: CreditAccount,
    pictures: Sequence[ReferencePicture] = (),
) -> GenerationTask:
    """The queued row, its points and, after the commit, its job. Call where the account is locked."""
    version = resolved.preset_version
    task = GenerationTask(
        user=user,
        model=resolved.model,
        model_label=resolved.model.label,
        model_revision=resolved.model.revision,
        preset_version=version,
        preset_label=version.preset.name if version else "",
        operation=request.operation,
        request=dataclasses.asdict(request),
        parameters=resolved.parameters.as_dict(),
        fingerprint=resolved.fingerprint,
        auto_accept=resolved.auto_accept,
        pool=resolved.model.pool,
        priority=resolved.priority,
        time_limit=resolved.limits.task_seconds,
        cost=_cost(resolved.model, request.operation, request.quality, resolved.parameters.num_images),
        origin_type=resolved.origin_type,
        origin_id=request.origin.object_id if request.origin else "",
        origin_field=request.origin.field if request.origin else "",
    )
    limits.check_room(task, resolved.limits)
    task.save(force_insert=True)
    if pictures:
        task.references.set(pictures)
    credits.reserve(task, account)
    audit.record(
        audit.Action.GENERATED,
        task,
        by=user,
        operation=task.operation,
        pictures=resolved.parameters.num_images,
        style=task.preset_label,
        points=task.cost,
    )
    transaction.on_commit(partial(queue.dispatch, task), robust=True)
    return task


def _cost(model: GenerationModel, operation: str, quality: str, pictures: int) -> int:
    """Points for so many pictures at today's price; nothing where points are not counted."""
    return model.price(operation, quality) * pictures if conf.get("CREDITS") else 0


def _check_worker(model: GenerationModel) -> None:
    if not conf.get("QUEUE_WITHOUT_WORKER") and model.pool not in health.living_pools():
        raise NoWorker
