"""Start a worker: one process for each GPU."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cms_ai_images.exceptions import AIImagesError
from cms_ai_images.models import GenerationModel
from cms_ai_images.worker.device import use_device
from cms_ai_images.worker.rq_worker import serve


class Command(BaseCommand):
    help = "Draws the queued pictures of one pool until it is stopped. Run one for each GPU."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--pool", default="images", help="The pool whose queues it serves (default: %(default)s).")
        parser.add_argument(
            "--models", nargs="*", default=[], metavar="SLUG", help="Models to load before the first task."
        )
        parser.add_argument(
            "--device", metavar="N", help="The number of the GPU to use, as CUDA counts them (default: the first one)."
        )
        parser.add_argument("--burst", action="store_true", help="Stop when the queues are empty.")

    def handle(self, *args: Any, **options: Any) -> None:
        self._check_models(options["models"], options["pool"])
        try:
            use_device(options["device"])
        except AIImagesError as error:
            raise CommandError(f"{error} ({error.code})") from error
        self.stdout.write(f"Working on pool {options['pool']}.")
        if serve(options["pool"], burst=options["burst"], preload=options["models"]):
            raise CommandError("The device is lost; the work was handed back. Start this worker anew.", returncode=75)

    def _check_models(self, slugs: list[str], pool: str) -> None:
        known = set(GenerationModel.objects.filter(enabled=True, pool=pool).values_list("slug", flat=True))
        if unknown := sorted(set(slugs) - known):
            names = ", ".join(sorted(known)) or "none"
            raise CommandError(f"Pool {pool} has no enabled model called {', '.join(unknown)}. Known: {names}.")
