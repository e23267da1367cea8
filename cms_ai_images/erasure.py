"""What is forgotten with somebody who is deleted, as the setting `DELETED_USER_PROMPTS` says.

- `keep`: nothing. Names stay where they were copied to, prompts with their tasks.
- `anonymise`: the names. Nothing tells any more who asked; what was asked for stays.
- `remove`: the names and the prompts. What still waits is cancelled.

Tasks, points and the audit trail themselves stay in any case: bills and statistics rest on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.signals import pre_delete
from django.utils import timezone

from cms_ai_images import conf, limits, outcomes
from cms_ai_images.models import APIToken, AuditEntry, CreditAccount, GeneratedImage, GenerationTask
from cms_ai_images.models.audit import DELETED_USER
from cms_ai_images.types import Status

BATCH = 500
"""Rows that are rewritten at a time."""


def connect() -> None:
    """Listen to the deletion of users."""
    pre_delete.connect(_forget_deleted, sender=get_user_model(), dispatch_uid="cms_ai_images.erasure")


def _forget_deleted(*, instance: Any, **kwargs: Any) -> None:
    """Inside the transaction of the deletion, while the rows still say whose they are."""
    _lock_tasks(instance)
    choice = conf.get("DELETED_USER_PROMPTS")
    if choice == "keep":
        return
    forget_names(instance)
    if choice == "remove":
        forget_prompts(instance)


def _lock_tasks(user: Any) -> None:
    """What is at work before its author's account, as workers lock them: the deletion writes to both."""
    tasks = limits.active_tasks(user).order_by("pk")
    no_key = connection.features.has_select_for_no_key_update
    list(tasks.select_for_update(no_key=no_key).values_list("pk", flat=True))


@transaction.atomic
def forget_names(user: Any) -> None:
    """Take this user's name out of the audit trail and the ledger. The links to the row go with the row."""
    AuditEntry.objects.filter(actor=user).update(actor_label=DELETED_USER)
    accounts = CreditAccount.objects.filter(user=user)
    accounts.update(label=DELETED_USER)
    told = list(_about(accounts))
    for entry in told:
        entry.object_label = DELETED_USER
        _forget_in_changes(entry, user)
    for entry in _about(APIToken.objects.filter(user=user)):
        entry.object_label = ""
        entry.details.pop("user", None)
        told.append(entry)
    for entry in AuditEntry.objects.filter(action=AuditEntry.Action.WEBHOOK_CHANGED):  # one may have been theirs once
        if _forget_in_changes(entry, user):
            told.append(entry)
    AuditEntry.objects.bulk_update(told, ["object_label", "details"], batch_size=BATCH)


@transaction.atomic
def forget_prompts(user: Any) -> None:
    """Empty the prompts of this user's tasks, and what the library's descriptions repeat of them.

    What somebody has written into the library by hand (names, alternative texts, captions) belongs to the site.
    """
    tasks = GenerationTask.objects.filter(user=user)
    for task in tasks.filter(status__in=Status.active()):
        if not outcomes.cancelled(task):
            GenerationTask.objects.filter(pk=task.pk).update(cancel_requested_at=timezone.now())
    last = 0
    while batch := list(tasks.filter(pk__gt=last).order_by("pk")[:BATCH]):
        _forget_descriptions(batch)
        for task in batch:
            for values in (task.request, task.parameters):
                values.update({name: "" for name in ("prompt", "negative_prompt") if values.get(name)})
            task.fingerprint = ""
        GenerationTask.objects.bulk_update(batch, ["request", "parameters", "fingerprint"])
        last = batch[-1].pk


def _about(rows: QuerySet[Any]) -> QuerySet[AuditEntry]:
    """What the trail tells of these few rows."""
    keys = [str(key) for key in rows.values_list("pk", flat=True)]
    return AuditEntry.objects.filter(object_type=rows.model._meta.model_name, object_id__in=keys)


def _forget_in_changes(entry: AuditEntry, user: Any) -> bool:
    """Where somebody was chosen in a form: the name among the old and new values. Returns whether it was there."""
    changes = entry.details.get("changes", {})
    pair = changes.get("user", [])
    if str(user) not in pair:
        return False
    changes["user"] = [DELETED_USER if value == str(user) else value for value in pair]
    return True


def _forget_descriptions(tasks: Iterable[GenerationTask]) -> None:
    """Of the library files that came from these tasks."""
    accepted = GeneratedImage.objects.filter(task__in=tasks, filer_image__isnull=False)
    for image in accepted.select_related("task", "filer_image"):
        file: Any = image.filer_image
        if image.task.prompt and image.task.prompt in (file.description or ""):
            forgotten = file.description.replace(image.task.prompt, "…")
            type(file)._base_manager.filter(pk=file.pk).update(description=forgotten)
