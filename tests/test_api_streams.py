"""Open streams and waiting answers of a real ASGI server: what they hold, and how long, on bad days too."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import psutil
import pytest
import redis
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse

from cms_ai_images.connections import SOCKET_TIMEOUT

from .factories import make_model, make_task, make_worker
from .services import child_environment
from .test_tokens import bearer

pytestmark = pytest.mark.django_db(transaction=True)

STREAMS = 40
SECONDS = 60
"""Long enough for a busy machine."""
WAIT = 3
"""Seconds that somebody asks to wait for: longer than Redis is waited for."""


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
        return self._ask("GET", path, headers)

    def post(self, path: str, data: Any, headers: dict[str, str]) -> HTTPResponse:
        """The same to a body of JSON."""
        return self._ask("POST", path, {"Content-Type": "application/json", **headers}, json.dumps(data))

    def _ask(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> HTTPResponse:
        client = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        client.request(method, path, body, headers={"Host": "localhost", **headers})
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


@pytest.fixture
def hanging_redis(server: Server, valkey: redis.Redis) -> Iterator[None]:
    """It takes connections and answers nothing, from when the server is up."""
    process = psutil.Process(valkey.info("server")["process_id"])
    process.suspend()
    yield
    process.resume()


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.usefixtures("hanging_redis")
def test_a_redis_that_hangs_is_waited_for_once(server: Server, author: User, method: str) -> None:
    make_worker()
    make_model()
    begun = time.monotonic()
    if method == "post":
        path, data = reverse("cms_ai_images:task-list"), {"prompt": "a fox"}
        answer = server.post(f"{path}?wait={WAIT}", data, {"Idempotency-Key": "1", **bearer(author)})
    else:
        path = reverse("cms_ai_images:task-detail", args=[make_task(author).uuid])
        answer = server.get(f"{path}?wait={WAIT}", bearer(author))
    assert json.loads(answer.read())["status"] == "queued"
    took = time.monotonic() - begun
    assert WAIT - 0.5 < took < WAIT + SOCKET_TIMEOUT
