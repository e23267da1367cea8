"""Sends what is due until it is stopped, each receiver's in a thread of its own: a slow one keeps no other waiting."""

from __future__ import annotations

import logging
import threading
import time

from django.db import close_old_connections, connection

from cms_ai_images import conf
from cms_ai_images.webhooks import sending

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 8
"""Receivers that are told something at the same time; the others have their turn when one of them has answered."""
STOP_SECONDS = 2.0
"""Time for what is under way to be noted. What is not is sent again."""


class Courier(threading.Thread):
    """Looks every `RECONCILE_SECONDS` for what is due. Several couriers, in any number of processes, share the work."""

    def __init__(self) -> None:
        super().__init__(name="ai-images-courier", daemon=True)
        self._stop_requested = threading.Event()
        self._serving: dict[int, threading.Thread] = {}
        self._served_at: dict[int, float] = {}

    def run(self) -> None:
        """Look and send until stopped; whatever goes wrong is logged and tried again."""
        while not self._stop_requested.wait(conf.get("RECONCILE_SECONDS")):
            close_old_connections()
            try:
                self.look()
            except Exception:
                logger.exception("Webhooks could not be looked for; that will be repeated")
                connection.close()
        connection.close()

    def look(self) -> None:
        """Begin to serve those for whom something is due and who are not being served."""
        self._serving = {key: thread for key, thread in self._serving.items() if thread.is_alive()}
        due = set(sending.due_endpoints()) - set(self._serving)
        longest_waiting = sorted(due, key=lambda endpoint: self._served_at.get(endpoint, 0.0))
        for endpoint in longest_waiting[: MOST_AT_ONCE - len(self._serving)]:
            thread = threading.Thread(target=self._serve, args=(endpoint,), name="ai-images-webhook", daemon=True)
            self._serving[endpoint] = thread
            self._served_at[endpoint] = time.monotonic()
            thread.start()

    def request_stop(self) -> None:
        """Begin nothing more."""
        self._stop_requested.set()

    def stop(self) -> None:
        """End, without waiting for slow receivers."""
        self.request_stop()
        until = time.monotonic() + STOP_SECONDS
        for thread in [self, *self._serving.values()]:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))

    def _serve(self, endpoint: int) -> None:
        """Send one after the other. A receiver that fails gives its turn away."""
        try:
            for is_delivered in sending.send_all(endpoint):
                if not is_delivered or self._stop_requested.is_set():
                    break
        except Exception:
            logger.exception("A webhook could not be sent; that will be repeated")
        finally:
            connection.close()
