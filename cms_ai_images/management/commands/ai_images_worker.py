"""Start a worker, or several: one process for each GPU."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from cms_ai_images.connections import queue_name
from cms_ai_images.exceptions import AIImagesError
from cms_ai_images.models import GenerationModel
from cms_ai_images.types import Priority
from cms_ai_images.worker.device import use_device
from cms_ai_images.worker.pool import DevicePool
from cms_ai_images.worker.rq_worker import serve
from cms_ai_images.worker.watchdog import RESTART, bound_exit


class Command(BaseCommand):
    help = "Draws the queued pictures of one pool until it is stopped, with one process for each GPU."

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        finally:
            bound_exit()  # a process of its own; not where other code calls the command

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--pool", default="images", help="The pool whose queues it serves (default: %(default)s).")
        parser.add_argument(
            "--models", nargs="*", default=[], metavar="SLUG", help="Models to load before the first task."
        )
        parser.add_argument(
            "--device",
            metavar="N,...",
            help="The numbers of the GPUs, as CUDA counts them, with a worker for each (default: the first one).",
        )
        parser.add_argument(
            "--workers", type=int, default=1, metavar="N", help="How many workers for each GPU (default: %(default)s)."
        )
        parser.add_argument("--burst", action="store_true", help="Stop when the queues are empty.")

    def handle(self, *args: Any, **options: Any) -> None:
        self._check_queues(options["pool"])
        self._check_models(options["models"], options["pool"])
        if options["workers"] < 1:
            raise CommandError(_("--workers must be 1 or more."))
        devices = [None] if options["device"] is None else [each.strip() for each in options["device"].split(",")]
        if "" in devices:  # CUDA would take it for "no GPU at all"
            raise CommandError(_("--device takes the numbers of GPUs, such as 0 or 0,1."))
        devices *= options["workers"]
        work = self._work_together if len(devices) > 1 else self._work
        work(devices, options["pool"], options["models"], options["burst"])

    def _work(self, devices: list[str | None], pool: str, models: list[str], burst: bool) -> None:
        try:
            use_device(devices[0])
        except AIImagesError as error:
            raise CommandError(f"{error} ({error.code})") from error
        self.stdout.write(_("Working on pool %(pool)s.") % {"pool": pool})
        try:
            is_lost = serve(pool, burst=burst, preload=models)
        except RedisError as error:
            message = _("Redis is away, and what waits could not be drawn: %(error)s") % {"error": error}
            raise CommandError(message) from error
        if is_lost:
            message = _("The device is lost; the work was handed back. Start this worker anew.")
            raise CommandError(message, returncode=RESTART)

    def _work_together(self, devices: list[str | None], pool: str, models: list[str], burst: bool) -> None:
        values = {"pool": pool, "count": len(devices)}
        self.stdout.write(_("Working on pool %(pool)s with %(count)d processes.") % values)
        connections.close_all()  # this process only watches the others
        together = DevicePool(pool, devices, models)
        together.start(burst=burst, logging_level="WARNING")
        if burst and together.status_of_failed:
            raise CommandError(_("Not every worker ended well."), returncode=together.status_of_failed)

    def _check_queues(self, pool: str) -> None:
        names = [queue_name(pool, priority) for priority in sorted(Priority, reverse=True)]
        if missing := [name for name in names if name not in settings.RQ_QUEUES]:
            message = _("RQ_QUEUES has no queue called %(names)s: pool %(pool)s needs all three.")
            raise CommandError(message % {"names": ", ".join(missing), "pool": pool})

    def _check_models(self, slugs: list[str], pool: str) -> None:
        known = set(GenerationModel.objects.filter(enabled=True, pool=pool).values_list("slug", flat=True))
        if unknown := sorted(set(slugs) - known):
            message = _("Pool %(pool)s has no enabled model called %(names)s. Known: %(known)s.")
            names = {"names": ", ".join(unknown), "known": ", ".join(sorted(known)) or _("none")}
            raise CommandError(message % {"pool": pool, **names})
