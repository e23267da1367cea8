"""One bad day: work is asked for, something breaks, and then all must become quiet."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.db import DatabaseError, close_old_connections, connection

from cms_ai_images import services
from cms_ai_images.exceptions import StateConflict
from cms_ai_images.models import GeneratedImage, GenerationTask
from cms_ai_images.types import GenerationRequest, ReviewState, Status
from cms_ai_images.worker.watchdog import RESTART

from . import invariants, traps
from .site import Site

QUIET_SECONDS = 60
"""How long the workers may take to set everything right."""
LAST_WRITE_SECONDS = 5
"""How long a late worker may take to clean up after itself, once every task is final."""


class Day:
    """What happens is drawn from `rng`; what is asked for, and what went wrong, is kept."""

    def __init__(self, site: Site, rng: random.Random, name: str) -> None:
        self.site = site
        self.rng = rng
        self.name = name
        self.asked: list[int] = []
        self.cancelled: set[int] = set()
        self.problems: list[tuple[str, str]] = []
        self.hangs_until = 0.0
        self.ended: list[int] = []
        self.sprung = 0
        self.swept = 0
        self.outcomes: Counter[str] = Counter()

    def ask(self, model: str = "", **fields: Any) -> GenerationTask:
        """Some request of some author."""
        rng = self.rng
        values: dict[str, Any] = {
            "prompt": f"an apple on {self.name}, {len(self.asked)}",
            "model": model or rng.choice(["plain", "batches", "batches"]),
            "steps": rng.choice([2, 5, 10, 20]),
            "num_images": rng.randint(1, 3),
            "priority": rng.choice(["low", "normal", "normal"]),
            "auto_accept": rng.random() < 0.4,
            **fields,
        }
        task = services.request_generation(rng.choice(self.site.authors), GenerationRequest(**values))
        self.asked.append(task.pk)
        return task

    def ask_some(self, least: int = 2, most: int = 5, **fields: Any) -> list[GenerationTask]:
        """Several requests, one after the other."""
        return [self.ask(**fields) for _ in range(self.rng.randint(least, most))]

    def cancel(self, task: GenerationTask) -> None:
        """Its author no longer wants it; too late is all right."""
        self.cancelled.add(task.pk)
        task.refresh_from_db()
        with contextlib.suppress(StateConflict):
            services.cancel(task.user, task)

    def pause(self, most: float, least: float = 0.0) -> None:
        """Wait for a random moment."""
        time.sleep(self.rng.uniform(least, most))

    def lay(self, place: str, kind: str, **details: Any) -> None:
        """Lay a trap; what hangs in it is waited for before the day is judged."""
        traps.lay(place, kind, **details)
        self.hangs_until = max(self.hangs_until, time.monotonic() + details.get("seconds", 0))

    def tasks(self) -> list[GenerationTask]:
        """What was asked for today, as it stands."""
        return list(GenerationTask.objects.filter(pk__in=self.asked))

    def settle(self) -> bool:
        """Wait until nothing is open any more, and nobody hangs. `False` when that takes too long."""
        until = time.monotonic() + QUIET_SECONDS
        while self._open():
            if time.monotonic() > until:
                return False
            self.supervise()
            time.sleep(0.05)
        if self.hangs_until > time.monotonic():
            time.sleep(self.hangs_until - time.monotonic())
        return True

    def supervise(self) -> None:
        """Start anew who asks for it, as systemd does; a call that hangs may be noticed late. No one else may end."""
        for status in self.site.workers.died():
            self.ended.append(status)
            if status == RESTART:
                self.site.workers.start()

    def try_again(self) -> None:
        """Let some authors press "retry" on what failed or was cancelled; then it has to work."""
        self.outcomes.update(str(task.status) for task in self.tasks())
        self.sprung = traps.clear()
        for task in self.tasks():
            if task.status in (Status.FAILED, Status.CANCELLED) and self.rng.random() < 0.5:
                services.retry(task.user, task)
                self.cancelled.discard(task.pk)

    def judge(self) -> list[tuple[str, str]]:
        """What is wrong after the sweep that an administrator runs daily."""
        for status in [*self.ended, *self.site.workers.died()]:
            if status != RESTART or not self.hangs_until:  # several calls that hang may be one too many
                self.problems.append(("no worker ends by itself", f"exit status {status}"))
        until = time.monotonic() + LAST_WRITE_SECONDS
        while True:
            said = StringIO()
            call_command("ai_images_purge", orphan_hours=0, stdout=said)
            self.swept += int(said.getvalue().partition("orphans: ")[2].partition(".")[0])
            found = list(invariants.violations(self.asked))
            if not found or time.monotonic() > until:
                return self.problems + found
            time.sleep(0.3)

    def _open(self) -> bool:
        try:
            close_old_connections()
            waiting = GenerationTask.objects.filter(pk__in=self.asked, status__in=Status.active())
            unaccepted = GeneratedImage.objects.filter(
                task__in=self.asked, task__auto_accept=True, review_state=ReviewState.DRAFT
            )
            return waiting.exists() or unaccepted.exists()
        except DatabaseError:
            connection.close()
            return True
