"""Send webhooks in a process of its own, where the workers cannot reach their receivers."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from cms_ai_images.webhooks import sending
from cms_ai_images.webhooks.courier import Courier


class Command(BaseCommand):
    help = (
        "Sends webhooks until it is stopped. Every worker does this by itself, too, unless the setting "
        "WEBHOOKS_IN_WORKERS is off."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Send what is due, then stop.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            results = [result for endpoint in sending.due_endpoints() for result in sending.send_all(endpoint)]
            counts = {"delivered": sum(results), "others": len(results) - sum(results)}
            self.stdout.write(_("Delivered: %(delivered)d. Not delivered: %(others)d.") % counts)
            return
        courier = Courier()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *signal_and_frame: courier.request_stop())
        self.stdout.write(_("Sending webhooks."))
        courier.run()
        courier.stop()
