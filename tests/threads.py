"""Many at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection

CONNECTIONS = 50
"""At once; PostgreSQL allows a hundred, and keeps some for others."""


def at_once(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each job returned or raised, in the order of `jobs`.

    They begin together, each in a thread with a connection of its own to the database. Of more than `CONNECTIONS` jobs
    a thread carries out several, one after the other.
    """
    start = threading.Barrier(min(CONNECTIONS, len(jobs)))
    outcomes: list[Any] = [None] * len(jobs)

    def work(first: int) -> None:
        try:
            start.wait(60)
            for number in range(first, len(jobs), start.parties):
                try:
                    outcomes[number] = jobs[number]()
                except Exception as error:
                    outcomes[number] = error
        finally:
            connection.close()

    with ThreadPoolExecutor(start.parties) as pool:
        list(pool.map(work, range(start.parties)))
    return outcomes
