"""Delete drafts that nobody wanted, files that nobody knows any more, and old entries of the logs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from cms_ai_images import audit, conf, idempotency
from cms_ai_images.library import drafts, orphans, references
from cms_ai_images.models import GeneratedImage, GenerationTask, Worker
from cms_ai_images.types import ReviewState, Status
from cms_ai_images.webhooks import outbox


class Command(BaseCommand):
    help = (
        "Deletes the drafts and reference pictures that nobody used within the retention time, what killed processes "
        "left in the storages, workers that ended that long ago, and what the audit trail and the log of webhooks "
        "should no longer keep. Run it daily."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, help="Retention in days (default: the setting DRAFT_RETENTION_DAYS).")
        parser.add_argument(
            "--orphan-hours",
            type=float,
            default=1.0,
            help="Age from which a file that belongs to no picture is deleted (default: %(default)s).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        days = conf.get("DRAFT_RETENTION_DAYS") if options["days"] is None else options["days"]
        old = GeneratedImage.objects.filter(
            review_state=ReviewState.DRAFT,
            created_at__lt=timezone.now() - timedelta(days=days),
            task__auto_accept=False,
        )
        purged = 0
        for image in old.only("pk", "file").iterator():
            # The row first: a picture accepted in this moment keeps its draft.
            changed = GeneratedImage.objects.filter(pk=image.pk, review_state=ReviewState.DRAFT).update(
                review_state=ReviewState.PURGED, reviewed_at=timezone.now(), file=""
            )
            if changed:
                drafts.delete(str(image.file.name))
                purged += 1
        workers = purge_workers(timezone.now() - timedelta(days=max(1, days)))
        unused = references.purge(timezone.now() - timedelta(days=days))
        swept = orphans.sweep(timezone.now() - timedelta(hours=options["orphan_hours"]))
        keep = conf.get("AUDIT_RETENTION_DAYS")
        forgotten = 0 if keep is None else audit.purge(timezone.now() - timedelta(days=keep))
        idempotency.purge()
        outbox.purge(timezone.now() - timedelta(days=conf.get("WEBHOOK_RETENTION_DAYS")))
        self.stdout.write(
            f"Purged drafts: {purged}. Purged references: {unused}. Swept orphans: {swept}. "
            f"Purged audit entries: {forgotten}. Purged workers: {workers}."
        )


def purge_workers(before: datetime) -> int:
    """Forget those that gave their last sign of life before; returns how many.

    Each start is a row: many, where workers are started now and then or a sick GPU ends them.
    """
    busy = GenerationTask.objects.filter(status=Status.RUNNING, worker__isnull=False).values("worker")
    silent = Worker.objects.filter(heartbeat_at__lt=before).exclude(pk__in=busy)
    return silent.delete()[1].get(Worker._meta.label, 0)
