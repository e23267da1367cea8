"""The reconciler, beside the work."""

from __future__ import annotations

import logging
import threading

from django.db import close_old_connections, connection

from cms_ai_images import conf, reconciler
from cms_ai_images.acceptances import Acceptances
from cms_ai_images.rounds import Rounds

logger = logging.getLogger(__name__)


class Reconciling(threading.Thread):
    """Runs the reconciler every `RECONCILE_SECONDS` on a database connection of its own."""

    def __init__(self) -> None:
        super().__init__(name="ai-images-reconciler", daemon=True)
        self._stop_requested = threading.Event()

    def run(self) -> None:
        """Reconcile until stopped; whatever goes wrong is logged and tried again."""
        rounds, acceptances = Rounds(), Acceptances()
        while not self._stop_requested.wait(conf.get("RECONCILE_SECONDS")):
            close_old_connections()
            try:
                reconciler.run(rounds, acceptances)
            except Exception:
                logger.exception("A reconciling pass failed and will be repeated")
                connection.close()
        connection.close()

    def stop(self) -> None:
        """End the thread after the current pass."""
        self._stop_requested.set()
        self.join(timeout=5)
