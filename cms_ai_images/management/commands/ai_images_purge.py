"""Delete drafts that nobody wanted, files that nobody knows any more, and old entries of the logs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from cms_ai_images import audit, conf, idempotency
from cms_ai_images.library import drafts, orphans, references
from cms_ai_images.models import GeneratedImage
from cms_ai_images.types import ReviewState
from cms_ai_images.webhooks import outbox


class Command(BaseCommand):
    help = (
        "Deletes the drafts and reference pictures that nobody used within the retention time, what killed processes "
        "left in the storages, and what the audit trail and the log of webhooks should no longer keep. Run it daily."
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
        unused = references.purge(timezone.now() - timedelta(days=days))
        swept = orphans.sweep(timezone.now() - timedelta(hours=options["orphan_hours"]))
        keep = conf.get("AUDIT_RETENTION_DAYS")
        forgotten = 0 if keep is None else audit.purge(timezone.now() - timedelta(days=keep))
        idempotency.purge()
        outbox.purge(timezone.now() - timedelta(days=conf.get("WEBHOOK_RETENTION_DAYS")))
        self.stdout.write(
            f"Purged drafts: {purged}. Purged references: {unused}. Swept orphans: {swept}. "
            f"Purged audit entries: {forgotten}."
        )
