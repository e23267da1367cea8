"""What one worker process keeps between jobs."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Sequence
from typing import ClassVar

from django.utils import timezone

from cms_ai_images.exceptions import AIImagesError, DeviceLost
from cms_ai_images.models import GenerationModel, Worker
from cms_ai_images.worker.heartbeat import Heartbeat
from cms_ai_images.worker.lander import Lander
from cms_ai_images.worker.residents import Residents
from cms_ai_images.worker.watchdog import Watchdog

logger = logging.getLogger(__name__)


class Runtime:
    """The worker's row, its heartbeat, its loaded models and what lands their pictures.

    RQ calls a plain function for each job; `Runtime.current` is how that function finds its process.
    """

    current: ClassVar[Runtime | None] = None

    def __init__(self, pool: str) -> None:
        host = socket.gethostname()
        # A fresh name each time: RQ keeps a killed worker's name taken until its key expires.
        name = f"{host}-{os.getpid()}-{secrets.token_hex(3)}"
        self.worker = Worker.objects.create(name=name, host=host, pid=os.getpid(), pool=pool)
        self.heartbeat = Heartbeat(self.worker.pk)
        self.watchdog = Watchdog(self.heartbeat)
        self.lander = Lander(self.heartbeat)
        self.residents = Residents()
        self.must_stop = False
        """Set by a signal, and after an error that only a new process can recover from."""
        self.must_restart = False
        """Set after such an error."""

    def start(self) -> None:
        """Begin to give signs of life."""
        self.heartbeat.start()
        self.watchdog.start()
        self.lander.start()
        Runtime.current = self

    def stop(self) -> None:
        """Land what is drawn and say goodbye, so that nobody waits for this worker. The watchdog bounds how long."""
        Runtime.current = None
        self.lander.stop()
        self.heartbeat.stop()
        Worker.objects.filter(pk=self.worker.pk).update(stopped_at=timezone.now())
        self.watchdog.stop()

    def preload(self, slugs: Sequence[str]) -> None:
        """Load models before the first task needs them. One that cannot be loaded is no reason not to work."""
        for model in GenerationModel.objects.filter(slug__in=slugs, enabled=True):
            try:
                self.residents.get(model)
            except AIImagesError as error:
                logger.error("The model %s cannot be loaded: %s", model.slug, error)
                if isinstance(error, DeviceLost):
                    self.must_restart = self.must_stop = True
                    break
        self.note_models()

    def note_models(self) -> None:
        """Show in the worker's row what is loaded and where."""
        Worker.objects.filter(pk=self.worker.pk).update(
            loaded_models=self.residents.slugs, device=self.residents.device[:100]
        )
