"""What the database pays for a request and for a claim, however long the queue is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks.results import Result, median, say
from benchmarks.site import Site
from cms_ai_images import services
from cms_ai_images.models import GenerationModel, GenerationTask, Worker
from cms_ai_images.types import GenerationParameters, GenerationRequest
from cms_ai_images.worker.claiming import claim
from cms_ai_images.worker.runtime import Runtime

GROWTH = 1.5
"""By how much a claim may take longer in a queue that is a thousand times as long; the same work, in colder caches."""


def claim_cost(site: Site) -> Result:
    """How much longer a claim takes with 100,000 waiting tasks than with 100, and how many queries it makes."""
    few, many, claims = (20, 200, 4) if site.quick else (100, 100_000, 50)
    model = site.model("claims", pool="silent", options={"max_batch": 1})
    batched = site.model("claims-4", pool="eager", options={"max_batch": 4})
    runtime = Runtime("silent")
    figures: dict[str, Any] = {}
    growth = []
    for name, each in (("alone", model), ("four_together", batched)):
        seconds = []
        for rows in (few, many):
            fill(each, rows, site.author.pk)
            # Not those of the round before, which other workers have queued again, and which pause.
            ready = GenerationTask.objects.filter(model=each, status="queued", available_at__lte=timezone.now())
            chosen = ready.order_by("pk")
            uuids = [str(uuid) for uuid in chosen.values_list("uuid", flat=True)[: claims * 8 : 8]]
            queries = count_queries(claim, runtime, uuids.pop(0))
            seconds.append(median_seconds(lambda uuid: claim(runtime, uuid), uuids))
            figures[f"{name}_{rows}"] = {"claims_per_second": round(1 / seconds[-1], 1), "queries": queries}
            say(f"  {name}, {rows} rows: {figures[f'{name}_{rows}']}")
        growth.append(seconds[1] / seconds[0])
        site.clear()
    return Result(
        value=max(growth),
        unit=f"times as long with {many} waiting tasks as with {few}",
        mark=GROWTH,
        at_most=True,
        details={**figures, "database": connection.vendor},
    )


def submit_cost(site: Site) -> Result:
    """Milliseconds that `services.request_generation` takes, with nothing and with much in the queue."""
    rows, requests = (200, 3) if site.quick else (100_000, 30)
    model = site.model("requests", pool="silent")
    worker = Worker.objects.create(name="a living one", host="here", pool="silent")
    figures: dict[str, Any] = {}
    for waiting in (0, rows):
        fill(model, waiting, site.author.pk)
        Worker.objects.filter(pk=worker.pk).update(heartbeat_at=timezone.now())
        for name, seed in (("", None), ("_with_seed", 7)):
            numbers = iter(range(10**6))

            def ask(_: int, seed: int | None = seed, numbers: Any = numbers) -> None:
                wish = GenerationRequest(prompt=f"{waiting} {next(numbers)}", model=model.slug, seed=seed)  # noqa: B023
                services.request_generation(site.author, wish)

            queries = count_queries(ask, 0)
            figures[f"queued_{waiting}{name}"] = {
                "ms": round(1000 * median_seconds(ask, range(requests)), 2),
                "queries": queries,
            }
    say(f"  {figures}")
    site.clear()
    worker.delete()
    return Result(value=figures[f"queued_{rows}"]["ms"], unit="ms", details={**figures, "database": connection.vendor})


def fill(model: GenerationModel, rows: int, user_id: int) -> None:
    """Make so many tasks of one author wait, without a job: only the table matters here."""
    width, height = model.default_size
    parameters = GenerationParameters(
        operation="text_to_image",
        prompt="a lighthouse",
        negative_prompt="",
        width=width,
        height=height,
        steps=8,
        guidance_scale=0.0,
        seed=7,
        num_images=1,
        output_format="png",
    ).as_dict()
    request = dataclasses.asdict(GenerationRequest(prompt="a lighthouse"))
    present = GenerationTask.objects.filter(model=model, status="queued").count()
    GenerationTask.objects.bulk_create(
        (
            GenerationTask(
                user_id=user_id,
                model=model,
                model_label=model.label,
                request=request,
                parameters=parameters,
                fingerprint=uuid4().hex,
                pool=model.pool,
            )
            for _ in range(rows - present)
        ),
        batch_size=1000,
    )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE cms_ai_images_generationtask")  # as autovacuum does within a minute


def count_queries(function: Callable[..., object], *arguments: Any) -> int:
    """SQL statements of one call, those that begin and end transactions left out."""
    with CaptureQueriesContext(connection) as captured:
        function(*arguments)
    return sum(is_statement(query["sql"]) for query in captured)


def is_statement(sql: str) -> bool:
    """Whether this does more than begin or end a transaction."""
    return not sql.startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))


def median_seconds(function: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """The middle duration of these calls."""
    durations = []
    for argument in arguments:
        begun = time.perf_counter()
        function(argument)
        durations.append(time.perf_counter() - begun)
    return median(durations)
