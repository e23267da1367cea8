"""Set right what a dead process left behind, once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cms_ai_images import reconciler


class Command(BaseCommand):
    help = "Queues lost tasks again and finishes what was interrupted. Every worker does this by itself, too."

    def handle(self, *args: Any, **options: Any) -> None:
        report = reconciler.run()
        self.stdout.write(
            f"Ended leases: {report.leases}. Dispatched: {report.dispatched}. Accepted: {report.accepted}."
        )
        if report.failed:
            raise CommandError(f"Went wrong, and left for another time: {', '.join(sorted(report.failed))}.")
