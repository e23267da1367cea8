"""Days in a row, and the counts of them."""

from __future__ import annotations

import math
import random
import time
from collections import Counter, defaultdict

from cms_ai_images.types import Status

from . import invariants, traps
from .catalogue import FAULTS, Fault
from .day import Day
from .site import Site

WORKERS = 2
RARE_EVERY = 60
"""With two rare faults of half a minute each, 200 runs take four minutes longer."""


def run_all(site: Site, *, seed: int, runs: int, only: str = "", quick: bool = False) -> bool:
    """Let so many faults happen and print what came of it. Returns whether anything was wrong."""
    here = "sqlite" if site.database is None else "postgresql"
    print(f"seed {seed}, {runs} runs on {here} (AI_IMAGES_FAULT_SEED={seed} repeats them)", flush=True)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    broken: Counter[str] = Counter()
    begun = time.monotonic()
    planned = plan(random.Random(seed), runs, here, only=only, quick=quick)
    for number, fault in enumerate(planned, start=1):
        day = Day(site, random.Random(f"{seed}:{number}"), f"day {number}")
        started = time.monotonic()
        problems = live(day, fault)
        seconds = time.monotonic() - started
        tally = counts[fault.name]
        tally.update(day.outcomes)
        tally.update(
            runs=1,
            tasks=len(set(day.asked)),
            traps=day.sprung,
            swept=day.swept,
            attempts=sum(task.attempt for task in day.tasks()),
            wrong=bool(problems),
        )
        broken.update(name for name, _problem in problems)
        print(f"{number:4} {fault.name}: {len(set(day.asked))} tasks, {seconds:.1f} s", flush=True)
        for name, problem in problems:
            print(f"     WRONG: {name}: {problem}", flush=True)
    report(counts, broken, time.monotonic() - begun)
    return bool(broken)


def plan(rng: random.Random, runs: int, database: str, *, only: str, quick: bool) -> list[Fault]:
    """Every fault equally often, in a random order; a rare one in one run of `RARE_EVERY`, and at least once."""
    possible = [fault for fault in FAULTS if fault.database in ("", database) and only in fault.name]
    often = [fault for fault in possible if not fault.rare and not (quick and fault.slow)]
    rare = [] if quick else [fault for fault in possible if fault.rare] * math.ceil(runs / RARE_EVERY)
    planned: list[Fault] = []
    while len(planned) < runs - len(rare):
        planned += rng.sample(often or rare, len(often or rare))
    planned = [*planned[: max(0, runs - len(rare))], *rare][:runs]
    rng.shuffle(planned)
    return planned


def live(day: Day, fault: Fault) -> list[tuple[str, str]]:
    """Let the fault happen, wait, let people try again, and judge."""
    traps.clear()
    day.site.workers.ensure(WORKERS)
    fault.happen(day)
    day.site.workers.ensure(1)
    day.settle()
    if fault.costs_nothing:
        for task in day.tasks():
            if task.status != Status.SUCCEEDED and task.pk not in day.cancelled:
                reason = f"task {task.uuid}: {task.status} {task.error_code}"
                day.problems.append(("what a fault should not cost is drawn in the end", reason))
    day.try_again()
    day.settle()
    return day.judge()


def report(counts: dict[str, Counter[str]], broken: Counter[str], seconds: float) -> None:
    """The table of what happened, before anybody tried again, and how often each invariant was broken.

    Every fault is listed, also one that did not happen.

    `traps` counts what went off in a process, `swept` the files that a daily purge deletes.
    """
    columns = ("runs", "traps", "tasks", "attempts", "succeeded", "failed", "cancelled", "swept", "wrong")
    print(f"\n{'fault':<54}" + "".join(f"{column:>10}" for column in columns))
    total: Counter[str] = Counter()
    for name in sorted(fault.name for fault in FAULTS):
        tally = counts[name]
        total.update(tally)
        print(f"{name:<54}" + "".join(f"{tally[column]:>10}" for column in columns))
    print(f"{'all':<54}" + "".join(f"{total[column]:>10}" for column in columns))
    print(f"\nbroken in {total['runs']} runs ({seconds:.0f} s):")
    for name in dict.fromkeys([*invariants.NAMES, *broken]):
        print(f"{broken[name]:>5}  {name}")
