"""What callers of the API wait for: its answers, whatever lies in the table, and the news of its event streams.

The site is served by uvicorn on PostgreSQL, as the page on deployment says; for event streams by a single process.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from benchmarks.clients import Connection
from benchmarks.costs import is_statement
from benchmarks.results import Result, median, say
from benchmarks.site import PATIENCE, Site
from cms_ai_images import progress, tokens
from cms_ai_images.models import GeneratedImage, GenerationModel, GenerationTask, Worker
from cms_ai_images.types import GenerationParameters, Progress, Status

RATE = 50
"""Requests per second."""
GROWTH = 1.5
"""By how much a middle answer may take longer with a thousand times as many tasks."""
AUTHORS = 20
PROCESSES = 4
"""Of uvicorn, on a Unix socket: as docs/deployment.md says."""
POOL = "10"
"""Connections to PostgreSQL that each of them keeps, as that page says too."""
LIMITS = {"requests_per_minute": 1_000_000, "active_tasks": 1000}
"""Looked at for each request, and never reached."""
ABOUT_THE_CALLER = ('"auth_', "apitoken", "grouplimits")
"""Tables that are read to know who calls and what they may."""


def api_latency(site: Site) -> Result:
    """How much longer submit, show and list take with a million tasks than with a thousand, at 50 requests a second."""
    few, many, seconds, processes = (60, 600, 1, 1) if site.quick else (1000, 1_000_000, 20, PROCESSES)
    model = site.model("api", pool="silent")
    callers = [caller(number) for number in range(AUTHORS)]
    figures: dict[str, dict[str, Any]] = {}
    with serving(site, "--workers", str(processes), AI_IMAGES_BENCH_POOL=POOL) as address, living_worker("silent"):
        for rows in (few, many):
            fill(model, rows, [author.pk for author, _token in callers])
            for name, requests in kinds_of_requests(model, callers, seconds * RATE).items():
                # Warms up, and notes what is noted once a minute: that the tokens are used.
                load(address, requests[: processes * AUTHORS], RATE)
                used = processor_seconds(site)
                answers = load(address, requests, RATE)
                cost = {"cpu_ms": 1000 * (processor_seconds(site) - used) / len(requests)}
                figures[f"{name}_{rows}"] = figure = {
                    "alone_ms": load(address, requests[: seconds * 5])["p50_ms"],
                    **answers,
                    **cost,
                    **queries(*requests[0]),
                }
                say(f"  {name}, {rows} rows: {figure}")
            empty()
    growth = {
        name: {
            kind: figures[f"{name}_{many}"][kind] / figures[f"{name}_{few}"][kind] for kind in ("p50_ms", "alone_ms")
        }
        for name in ("submit", "show", "list")
    }
    return Result(
        value=max(each["p50_ms"] for each in growth.values()),
        unit=f"times as long with {many} tasks as with {few}, the most of three",
        mark=GROWTH,
        at_most=True,
        details={"growth": growth, **figures, "requests_per_second": RATE},
    )


def event_streams(site: Site) -> Result:
    """Seconds until a notice has reached 500 open event streams of one process, and what these cost."""
    count, rounds = (20, 2) if site.quick else (500, 5)
    allow_files(4 * count + 256)
    model = site.model("api", pool="silent")
    author, token = caller(0)
    with serving(site) as address, living_worker("silent") as worker:
        task = running_task(model, author, worker)
        server = psutil.Process(site.processes.running["site"].pid)
        load(address, [["GET", path_of("task-detail", task), token, None]] * RATE, RATE)  # warms up
        before = server.memory_info().rss
        with listening(address, token, path_of("task-events", task), count) as listeners:
            memory = (server.memory_info().rss - before) / count
            seconds = [notice_seconds(task, listeners, number) for number in range(rounds)]
            held = [connections_of_others() for _ in every(0.1, 20 if site.quick else 100)]
            busy = server.cpu_percent(interval=1 if site.quick else 10)
        empty()
    return Result(
        value=median(seconds),
        unit=f"s until {count} streams have a notice",
        details={
            "rounds": seconds,
            "streams": count,
            "kib_per_stream": memory / 1024,
            "database_connections": {"middle": median(held), "most": max(held)},
            "percent_of_a_core": busy,
        },
    )


# -- The site and who calls it


@contextmanager
def serving(site: Site, *options: str, **environment: str) -> Iterator[Path]:
    """The site on a Unix socket, whose path is given."""
    address = Path(settings.VAR) / "site.sock"
    variables = {"AI_IMAGES_BENCH_SETTINGS": json.dumps({"LIMITS": LIMITS}), **environment}
    command = ["env", *(f"{name}={value}" for name, value in variables.items()), sys.executable, "-m", "uvicorn"]
    command += ["project.asgi:application", "--app-dir", str(settings.BASE_DIR), "--uds", str(address), *options]
    site.processes.start("site", [*command, "--timeout-graceful-shutdown", "2"])
    site.processes.wait(lambda: serves(address), seconds=PATIENCE)
    try:
        yield address
    except BaseException:
        say(site.processes.tail("site"))
        raise
    finally:
        process = site.processes.running.pop("site")
        process.terminate()
        process.wait(PATIENCE)


def serves(address: Path) -> bool:
    """Whether the site answers."""
    request = Connection(str(address), timeout=10)
    try:
        request.request("GET", path_of("health"))
        return request.getresponse().status == HTTPStatus.UNAUTHORIZED  # nobody has logged in
    except OSError:
        return False
    finally:
        request.close()


@contextmanager
def living_worker(pool: str) -> Iterator[Worker]:
    """A row of a worker that lives: requests are taken, and nobody draws."""
    worker = Worker.objects.create(name="a living one", host="here", pool=pool)
    Worker.objects.filter(pk=worker.pk).update(heartbeat_at=timezone.now() + timedelta(hours=1))
    try:
        yield worker
    finally:
        worker.delete()


def caller(number: int) -> tuple[User, str]:
    """An author with a personal token."""
    user, _is_new = User.objects.get_or_create(username=f"caller-{number}")
    user.user_permissions.add(Permission.objects.get(codename="generate"))
    _token, secret = tokens.issue(user, "benchmark")
    return user, secret


def path_of(name: str, *tasks: GenerationTask) -> str:
    """An address of the API."""
    return reverse(f"cms_ai_images:{name}", args=[task.uuid for task in tasks])


def kinds_of_requests(
    model: GenerationModel, callers: list[tuple[User, str]], count: int
) -> dict[str, list[list[Any]]]:
    """`count` requests of each kind, the authors taking turns. What is shown lies anywhere in the table."""
    kinds: dict[str, list[list[Any]]] = {"submit": [], "show": [], "list": []}
    tasks = {author.pk: list(GenerationTask.objects.filter(user=author).order_by("?")[:50]) for author, _ in callers}
    for number in range(count):
        author, token = callers[number % len(callers)]
        shown = tasks[author.pk][number // len(callers) % len(tasks[author.pk])]
        body = {"prompt": f"a lighthouse {number}", "model": model.slug}
        kinds["submit"].append(["POST", path_of("task-list"), token, body])
        kinds["show"].append(["GET", path_of("task-detail", shown), token, None])
        kinds["list"].append(["GET", path_of("task-list"), token, None])
    return kinds


def load(address: Path, requests: list[list[Any]], rate: int | None = None) -> dict[str, float]:
    """The middle and the slow answers to these requests, made by another process. All of them must succeed.

    Without a rate (per second) they are made one after another: what an answer takes where nobody else asks.
    """
    job = json.dumps({"address": str(address), "rate": rate, "requests": requests})
    command = [sys.executable, "-m", "benchmarks.clients", "load"]
    results = json.loads(subprocess.run(command, input=job, capture_output=True, text=True, check=True).stdout)
    if failed := [status for _seconds, status in results if status not in (200, 202)]:
        raise RuntimeError(f"{len(failed)} of {len(results)} requests failed: {sorted(set(failed))}")
    seconds = [each for each, _status in results]
    return {"p50_ms": 1000 * median(seconds), "p95_ms": 1000 * statistics.quantiles(seconds, n=20)[-1]}


def processor_seconds(site: Site) -> float:
    """What the site's processes have used so far."""
    server = psutil.Process(site.processes.running["site"].pid)
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def queries(method: str, path: str, token: str, body: Any) -> dict[str, int]:
    """SQL statements of one request: in all, and without those that tell who calls and what they may."""
    client = Client(headers={"Authorization": f"Bearer {token}", "Host": "127.0.0.1"})
    call: Callable[..., Any] = client.get if body is None else client.post
    with CaptureQueriesContext(connection) as captured:
        answer = call(path) if body is None else call(path, json.dumps(body), content_type="application/json")
    if answer.status_code not in (200, 202):
        raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.content!r}")
    asked = [query["sql"] for query in captured if is_statement(query["sql"])]
    about_caller = [sql for sql in asked if any(table in sql.split("WHERE")[0] for table in ABOUT_THE_CALLER)]
    return {"queries": len(asked), "queries_after_authentication": len(asked) - len(about_caller)}


# -- Rows


def parameters_of(model: GenerationModel) -> dict[str, Any]:
    """What a backend would be told."""
    width, height = model.default_size
    return GenerationParameters(
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


def fill(model: GenerationModel, rows: int, users: list[int]) -> None:
    """So many finished tasks, one a minute, the authors taking turns; every tenth and the newest have a picture."""
    begun = time.monotonic()
    task = GenerationTask.objects.create(
        user_id=users[0],
        model=model,
        model_label=model.label,
        request={"prompt": "a lighthouse"},
        parameters=parameters_of(model),
        fingerprint="0" * 64,
        pool=model.pool,
        status=Status.SUCCEEDED,
        finished_at=timezone.now(),
    )
    image = GeneratedImage.objects.create(
        task=task, index=0, seed=7, width=64, height=64, byte_size=1, output_format="png", sha256="0" * 64, file="x"
    )
    authors = f"(ARRAY[{','.join(map(str, users))}])[1 + n % {len(users)}]"
    moment = f"now() - ({rows} - n) * interval '1 minute'"
    fresh = {"uuid": "gen_random_uuid()", "user_id": authors, "created_at": moment, "fingerprint": "md5(n::text)"}
    copy(GenerationTask, task.pk, fresh, f"generate_series(1, {rows}) n")
    pictured = f"id <> {task.pk} AND (id % 10 = 0 OR id > {task.pk + rows - 1000})"
    tasks = f"(SELECT id FROM {GenerationTask._meta.db_table} WHERE {pictured}) t"  # noqa: S608 - all of it is ours
    copy(GeneratedImage, image.pk, {"uuid": "gen_random_uuid()", "task_id": "t.id"}, tasks)
    task.delete()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # as autovacuum does within a minute
        cursor.execute("CHECKPOINT")  # else what has been filled in is written down while the answers are timed
    say(f"  {rows} tasks filled in within {time.monotonic() - begun:.0f} s")


def copy(model: Any, pk: int, fresh: dict[str, str], source: str) -> None:
    """Insert the row `pk` once for each row of `source`, with these expressions in some columns."""
    columns = [field.column for field in model._meta.concrete_fields if not field.primary_key]
    values = ", ".join(fresh.get(column, f"o.{column}") for column in columns)
    names, table = ", ".join(f'"{column}"' for column in columns), model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} o CROSS JOIN {source} WHERE o.id = {pk}"  # noqa: S608 - as above
        )


def empty() -> None:
    """No tasks and no pictures, at once."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {GenerationTask._meta.db_table} CASCADE")


def running_task(model: GenerationModel, author: User, worker: Worker) -> GenerationTask:
    """A task that a worker holds for an hour."""
    later = timezone.now() + timedelta(hours=1)
    return GenerationTask.objects.create(
        user=author,
        model=model,
        model_label=model.label,
        request={"prompt": "a lighthouse"},
        parameters=parameters_of(model),
        fingerprint="0" * 64,
        pool=model.pool,
        status=Status.RUNNING,
        worker=worker,
        attempt=1,
        started_at=timezone.now(),
        lease_expires_at=later,
        deadline_at=later,
    )


# -- Streams


@contextmanager
def listening(address: Path, token: str, path: str, count: int) -> Iterator[subprocess.Popen[str]]:
    """A process that has opened `count` streams."""
    command = [sys.executable, "-m", "benchmarks.clients", "listen", str(address), token, path, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as listeners:
        assert listeners.stdout is not None  # noqa: S101 - it is a pipe
        if listeners.stdout.readline() != "ready\n":
            raise RuntimeError("The streams could not be opened.")
        try:
            yield listeners
        finally:
            listeners.kill()


def notice_seconds(task: GenerationTask, listeners: subprocess.Popen[str], number: int) -> float:
    """From saying how far a task is until all listeners know."""
    assert listeners.stdin is not None and listeners.stdout is not None  # noqa: S101 - they are pipes
    listeners.stdin.write("\n")
    listeners.stdin.flush()
    begun = time.time()
    progress.publish_steps(task.pool, [(task.uuid, Progress(attempt=1, step=number + 1, total=100), [])])
    return float(listeners.stdout.readline()) - begun


def connections_of_others() -> int:
    """Database connections at this moment, without this process's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def every(seconds: float, times: int) -> Iterator[None]:
    """So many moments, as far apart."""
    for _ in range(times):
        yield
        time.sleep(seconds)


def allow_files(count: int) -> None:
    """Let processes that are started from now on open so many files; each stream has one, and one to Redis."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (count if hard < 0 else min(count, hard), hard))
