"""Start a worker: one process for each GPU."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cms_ai_images.worker.rq_worker import serve


class Command(BaseCommand):
    help = "Draws the queued pictures of one pool until it is stopped. Run one for each GPU."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--pool", default="images", help="The pool whose queues it serves (default: %(default)s).")
        parser.add_argument("--burst", action="store_true", help="Stop when the queues are empty.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Working on pool {options['pool']}.")
        if serve(options["pool"], burst=options["burst"]):
            raise CommandError("The device is lost; the work was handed back. Start this worker anew.", returncode=75)
