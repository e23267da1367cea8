"""How long an author waits for a wish to be heard, and for a killed worker to be replaced."""

from __future__ import annotations

import time
from typing import Any

import redis
from django.conf import settings
from django.utils import timezone

from benchmarks.results import Result, median, say
from benchmarks.site import Site, patiently, seconds_between
from cms_ai_images import progress, services
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Status

RECOVERY_MARK = 15.0
QUICK_LEASES: dict[str, Any] = {"LEASE_SECONDS": 2, "HEARTBEAT_SECONDS": 0.5, "RETRY_PAUSES_SECONDS": [0.1]}


def cancel_latency(site: Site) -> Result:
    """Steps that are still drawn after an author said stop."""
    step, samples = (0.05, 2) if site.quick else (0.1, 10)
    worker = site.start_worker("standin")
    model = site.model(
        "cancels", options={"denoise_seconds": 100 * step}, sizes=[[64, 64]], default_parameters={"steps": 100}
    )
    steps, seconds = [], []
    for _ in range(samples):
        [task] = site.ask(model)
        wait_for_step(task)
        time.sleep(step * (1 + 3 * site.random.random()))
        steps.append(steps_after_cancelling(site, task))
        [ended] = site.wait([task], Status.CANCELLED)
        assert ended.cancel_requested_at is not None  # noqa: S101 - that is how it ended
        seconds.append(seconds_between(ended.cancel_requested_at, ended.finished_at))
    site.end_worker(worker)
    return Result(
        value=max(steps),
        unit="steps, the most of all samples",
        mark=1,
        at_most=True,
        details={"samples": samples, "median_seconds": median(seconds), "step_seconds": step},
    )


def recovery_seconds(site: Site) -> Result:
    """From a worker's SIGKILL to its task being drawn by another one, with the default settings."""
    seconds, samples = (4.0, 1) if site.quick else (60.0, 3)
    app = QUICK_LEASES if site.quick else {}
    model = site.model(
        "recovery", options={"denoise_seconds": seconds}, sizes=[[64, 64]], default_parameters={"steps": 100}
    )
    site.start_worker("standin", "spare-0", **app)
    waited = []
    for number in range(samples):
        site.start_worker("standin", f"spare-{number + 1}", **app)
        [task] = site.ask(model)
        wait_for_step(task)
        time.sleep(site.random.uniform(0, seconds / 10))
        task.refresh_from_db()
        killed = timezone.now()
        site.end_worker(site.worker_of(task), kill=True)
        waited.append(seconds_between(killed, second_start(task)))
        say(f"  drawn again after {waited[-1]:.1f} s")
        services.cancel(site.author, task)
        site.wait([task], Status.CANCELLED)
    for name in [name for name in site.processes.running if name.startswith("spare-")]:
        site.end_worker(name)
    return Result(
        value=max(waited),
        unit="s, the longest of all samples",
        mark=RECOVERY_MARK,
        at_most=True,
        details={"samples": waited, "median": median(waited)},
    )


def wait_for_step(task: GenerationTask) -> None:
    """Return when the first step is done."""
    for _ in patiently(0.02):
        if progress.read(task.pool, task.uuid, attempt=1) is not None:
            return


def steps_after_cancelling(site: Site, task: GenerationTask) -> int:
    """Cancel a running task and count the steps that it still reports, until it has ended."""
    with redis.Redis.from_url(settings.REDIS_URL) as client, client.pubsub(ignore_subscribe_messages=True) as events:
        services.cancel(site.author, task)
        events.subscribe(progress.channel(task.uuid))
        steps = 0
        for _ in patiently(0):
            message = events.get_message(timeout=1.0)
            steps += message is not None and b'"progress"' in message["data"]
            if message is None and GenerationTask.objects.get(pk=task.pk).is_final:
                return steps
    raise AssertionError


def second_start(task: GenerationTask) -> Any:
    """When the second attempt began."""
    for _ in patiently(0.1):
        task.refresh_from_db()
        if task.attempt > 1 and task.status == Status.RUNNING:
            return task.started_at
    raise AssertionError
