"""What may go wrong. Each fault asks for work and breaks something at a random moment of it."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable

from django.conf import settings
from django.db import connection
from django.utils.text import slugify

from cms_ai_images import queue
from cms_ai_images.types import Priority, Status
from cms_ai_images.worker.watchdog import RESTART
from tests.factories import make_model
from tests.services import child_environment

from . import traps
from .day import Day
from .site import PRICES

HANG = 5.0
"""Seconds of a hanging call: longer than the deadlines of the settings, and too short for a worker to give up on it."""
LEAVE_SECONDS = 20
"""How long a worker that hangs may take to end, at most."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """`database` names the one it needs. A `slow` one takes about ten seconds; a `rare` one half a minute, so that
    it happens less often; one that happens `alone` is none of several at once. After one that `costs_nothing`
    everything that nobody cancelled must succeed."""

    name: str
    happen: Callable[[Day], None]
    database: str = ""
    slow: bool = False
    rare: bool = False
    alone: bool = False
    costs_nothing: bool = True


FAULTS: list[Fault] = []


def fault(name: str, **options):
    """Put a function into the catalogue."""

    def register(happen: Callable[[Day], None]) -> Callable[[Day], None]:
        FAULTS.append(Fault(name=name, happen=happen, **options))
        return happen

    return register


@fault("worker killed at a random moment")
def worker_killed(day: Day) -> None:
    day.ask_some()
    day.pause(1.0)
    workers = day.site.workers
    workers.kill(workers.any(day.rng))
    if day.rng.random() < 0.3:
        workers.kill_all()
    day.ask_some(0, 2)


@fault("worker killed in an upload")
def worker_killed_in_an_upload(day: Day) -> None:
    traps.lay("drafts", day.rng.choice(["half", "hang_before", "hang_after"]), seconds=60)
    _kill_who_is_trapped(day, "drafts")


@fault("worker killed in an upload that is cancelled")
def worker_killed_in_a_cancelled_upload(day: Day) -> None:
    traps.lay("drafts", day.rng.choice(["half", "hang_after"]), seconds=60)
    tasks = _kill_who_is_trapped(day, "drafts")
    for task in tasks:
        day.cancel(task)


@fault("worker killed while it puts pictures into the library")
def worker_killed_while_accepting(day: Day) -> None:
    traps.lay("public", day.rng.choice(["half", "hang_before", "hang_after"]), seconds=60)
    _kill_who_is_trapped(day, "public", auto_accept=True)


def _kill_who_is_trapped(day: Day, place: str, **fields):
    tasks = day.ask_some(**fields)
    pid = traps.victim(place)
    for process in list(day.site.workers.processes):
        if process.pid == pid:
            day.site.workers.kill(process)
    return tasks


@fault("worker told to stop")
def worker_told_to_stop(day: Day) -> None:
    day.ask_some()
    day.pause(1.0)
    workers = day.site.workers
    status = workers.terminate(workers.any(day.rng))
    if status != 0:
        day.problems.append(("a worker that is told to stop ends well", f"exit status {status}"))


@fault("worker frozen beyond its lease")
def worker_frozen(day: Day) -> None:
    day.ask_some()
    day.pause(0.6)
    day.site.workers.freeze(day.site.workers.any(day.rng), day.rng.uniform(2.5, 4.0))


@fault("Valkey killed and restarted")
def valkey_killed(day: Day) -> None:
    day.ask_some()
    if day.rng.random() < 0.5:
        day.site.valkey.save()
    day.pause(0.8)
    day.site.valkey.kill()
    day.ask_some(0, 2)
    day.pause(1.5)
    day.site.valkey.start()


@fault("Valkey emptied")
def valkey_emptied(day: Day) -> None:
    for _ in range(day.rng.randint(1, 3)):
        day.ask_some(1, 3)
        day.pause(0.4)
        day.site.valkey.client.flushall()


@fault("Valkey does not answer")
def valkey_silent(day: Day) -> None:
    day.ask_some()
    day.pause(0.5)
    with day.site.valkey.frozen():
        day.ask_some(0, 1)
        day.pause(4.0, least=1.0)


@fault("Valkey does not answer for 30 s", rare=True)
def valkey_silent_for_long(day: Day) -> None:
    day.ask_some()
    day.pause(0.5)
    with day.site.valkey.frozen():
        day.pause(30.0, least=30.0)


@fault("PostgreSQL restarted", database="postgresql")
def database_restarted(day: Day) -> None:
    database = day.site.database
    assert database is not None
    day.ask_some()
    day.pause(0.8)
    connection.close()
    database.stop(day.rng.choice(["fast", "immediate"]))
    day.pause(1.5)
    database.start()


@fault("SQLite locked by somebody else", database="sqlite")
def database_locked(day: Day) -> None:
    import sqlite3

    day.ask_some()
    day.pause(0.5)
    other = sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None, timeout=20)
    other.execute("BEGIN IMMEDIATE")
    day.pause(3.0, least=0.5)
    other.execute("COMMIT")
    other.close()


@fault("storage answers 500", costs_nothing=False)
def storage_fails(day: Day) -> None:
    day.lay(day.rng.choice(["drafts", "public"]), "error", times=day.rng.randint(1, 8))
    day.ask_some(auto_accept=day.rng.random() < 0.7)


@fault("storage hangs", slow=True, costs_nothing=False)
def storage_hangs(day: Day) -> None:
    place = day.rng.choice(["drafts", "drafts", "public"])
    day.lay(place, day.rng.choice(["half", "hang_before", "hang_after"]), seconds=HANG)
    day.ask_some(1, 3, auto_accept=place == "public")
    traps.victim(place)
    day.hangs_until += HANG  # it began to hang later than it was laid


@fault("disk full", costs_nothing=False)
def disk_full(day: Day) -> None:
    day.lay(day.rng.choice(["drafts", "public"]), "full", times=day.rng.randint(1, 8))
    day.ask_some(auto_accept=day.rng.random() < 0.7)


@fault("two workers race for one task")
def two_workers_race(day: Day) -> None:
    for task in day.ask_some(2, 4):
        for _ in range(4):
            _ring(task)


@fault("doubled job")
def doubled_job(day: Day) -> None:
    tasks = day.ask_some()
    for _ in range(4):
        task = day.rng.choice(tasks)
        task.refresh_from_db()
        queue.dispatch(task)
        day.pause(0.4)
    day.settle()
    for task in tasks:
        _ring(task)


def _ring(task) -> None:
    """One more job for a task, under a name of its own, as somebody's click in RQ's pages may make it."""
    queue.get_queue(task.pool, task.priority).enqueue_call(queue.JOB, args=(str(task.uuid),))


@fault("lost job")
def lost_job(day: Day) -> None:
    for _ in range(3):
        day.ask_some(1, 3)
        for priority in Priority:
            waiting = queue.get_queue("images", priority)
            for job in waiting.get_job_ids():
                if day.rng.random() < 0.5:
                    waiting.connection.delete(f"rq:job:{job}")
                elif day.rng.random() < 0.5:
                    waiting.connection.lrem(waiting.key, 0, job)
        day.pause(0.3)


@fault("cancelling races with completion")
def cancelling_races(day: Day) -> None:
    for task in day.ask_some(3, 6):
        day.pause(0.5)
        day.cancel(task)


@fault("out of memory in a batch", costs_nothing=False)
def out_of_memory(day: Day) -> None:
    tasks = day.ask_some(3, 5, model="small", steps=2)
    day.settle()
    for task in tasks:
        task.refresh_from_db()
        fits = task.parameters["num_images"] <= 2
        if task.status != (Status.SUCCEEDED if fits else Status.FAILED):
            message = f"{task.parameters['num_images']} pictures: {task.status} {task.error_code}"
            day.problems.append(("of a batch that is too large only what is too large alone fails", message))


@fault("call to the device hangs", slow=True)
def device_hangs(day: Day) -> None:
    day.lay("device", "hang", seconds=HANG)
    day.ask_some(1, 3)
    traps.victim("device")
    day.hangs_until += HANG


@fault("call to the device never returns", slow=True, alone=True)
def device_is_dead(day: Day) -> None:
    traps.lay("device", "dead")
    day.ask_some(1, 3)
    _must_leave(day, "device", RESTART)


@fault("worker told to stop in a call that never returns", slow=True, alone=True)
def worker_told_to_stop_in_a_dead_call(day: Day) -> None:
    place = day.rng.choice(["device", "load", "drafts"])
    if place == "load":
        day.site.workers.kill_all()  # the others have loaded it
        day.site.workers.ensure(1)
    traps.lay(place, "hang_before" if place == "drafts" else "dead", seconds=60)
    day.ask_some(1, 3)
    _must_leave(day, place, 0, signal.SIGTERM)


@fault("device lost", alone=True)
def device_lost(day: Day) -> None:
    traps.lay("device", "lost")
    day.ask_some()
    _must_leave(day, "device", RESTART)


def _must_leave(day: Day, place: str, status: int, number: int | None = None) -> None:
    """Wait for the process that is in a trap to end by itself, after a signal where one is given."""
    pid = traps.victim(place)
    if pid is None:
        day.problems.append(("a trap is walked into", "nobody came"))
        return
    if number is not None:
        os.kill(pid, number)
    ended = day.site.workers.left(pid, LEAVE_SECONDS)
    if ended != status:
        day.problems.append(("a worker that hangs leaves in time", f"exit status {ended} instead of {status}"))


@fault("weights damaged on disk", rare=True, costs_nothing=False)
def weights_damaged(day: Day) -> None:
    folder = settings.VAR / "damaged"
    if not folder.exists():
        build = (
            "import sys; from pathlib import Path; from tests.tiny_pipelines import build_stable_diffusion as build;"
        )
        line = [sys.executable, "-c", f"{build} build(Path(sys.argv[1]))", str(folder)]
        subprocess.run(line, env=child_environment(), check=True)
        weights = next(path for path in folder.rglob("*.safetensors") if path.parent.name == "unet")
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    model = make_model(slugify(f"damaged on {day.name}"), backend="diffusers", source=str(folder), prices=PRICES)
    task = day.ask(model.slug, num_images=1)
    others = day.ask_some(model="plain")
    day.settle()
    for expected, one in [(Status.FAILED, task), *((Status.SUCCEEDED, other) for other in others)]:
        one.refresh_from_db()
        if one.status != expected:
            day.problems.append(("damaged weights fail their own tasks only", f"{one.status} {one.error_code}"))


@fault("several at once", slow=True, costs_nothing=False)
def several(day: Day) -> None:
    here = "sqlite" if day.site.database is None else "postgresql"
    simple = [
        each
        for each in FAULTS
        if not (each.rare or each.alone) and each.happen is not several and each.database in ("", here)
    ]
    for each in day.rng.sample(simple, 3):
        day.site.workers.ensure(1)
        each.happen(day)
