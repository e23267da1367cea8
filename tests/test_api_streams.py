"""What open streams and waiting answers hold of a real ASGI server: neither threads nor database connections."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import psutil
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse

from .factories import make_task
from .services import child_environment
from .test_tokens import bearer

pytestmark = pytest.mark.django_db(transaction=True)

STREAMS = 40
SECONDS = 60
"""Long enough for a busy machine."""


def until(holds: Callable[[], bool]) -> bool:
    """Whether it holds in the end."""
    ends = time.monotonic() + SECONDS
    while not (held := holds()) and time.monotonic() < ends:
        time.sleep(0.1)
    return held


class Server:
    """The example site under uvicorn, over this test's database."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "project.asgi:application", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--log-level", "warning", "--timeout-graceful-shutdown", "1"], env=child_environment()
        )
        self.looked_at = psutil.Process(self.process.pid)

    def get(self, path: str, headers: dict[str, str]) -> HTTPResponse:
        """The answer, whose body may still be to come."""
        client = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        client.request("GET", path, headers={"Host": "localhost", **headers})
        return client.getresponse()

    def is_up(self) -> bool:
        assert self.process.poll() is None
        try:
            return self.get(reverse("cms_ai_images:schema"), {}).status == 200
        except OSError:
            return False

    def connections(self) -> int:
        """How many it has to the database."""
        if connection.vendor == "sqlite":
            name = str(connection.settings_dict["NAME"])
            return sum(file.path == name for file in self.looked_at.open_files())
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return int(cursor.fetchone()[0])


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    try:
        assert until(server.is_up)
        yield server
    finally:
        server.process.terminate()
        server.process.wait(SECONDS)


@pytest.mark.parametrize(("name", "query"), [("task-events", ""), ("task-detail", "?wait=60")])
def test_nothing_is_held_while_nothing_happens(server: Server, author: User, name: str, query: str) -> None:
    path = reverse(f"cms_ai_images:{name}", args=[make_task(author).uuid]) + query
    headers = bearer(author)
    assert server.get(reverse("cms_ai_images:task-list"), headers).status == 200
    threads = server.looked_at.num_threads()
    answers: list[Any] = [server.get(path, headers) for _ in range(STREAMS)]
    for answer in answers:
        assert answer.status == 200
        assert answer.readline()
    assert until(lambda: server.connections() == 0)
    assert until(lambda: server.looked_at.num_threads() < threads + STREAMS // 2)
    for answer in answers:
        answer.close()
