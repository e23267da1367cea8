"""Callers of the API in a process of their own, so that they do not take turns with what they measure.

python -m benchmarks.clients load < job.json         requests at a steady rate; prints how long each took
python -m benchmarks.clients listen ADDRESS TOKEN PATH COUNT    event streams; prints when a notice has reached all
"""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import socket
import sys
import threading
import time
from typing import Any

THREADS = 32
"""Requests that may be on their way at once. A request that has to wait for a thread is late, and that counts."""
AT_ONCE = 20
"""Streams that are being opened at the same time."""
STATE = (b"event: task", b": still here")
NOTICE = b"event: progress"


class Connection(http.client.HTTPConnection):
    """One that leads to a Unix socket, whose path is `address`."""

    def __init__(self, address: str, *, timeout: float) -> None:
        super().__init__("127.0.0.1", timeout=timeout)
        self.address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.address)


def load(job: dict[str, Any]) -> list[list[float]]:
    """[seconds, status] of each request. `job` holds address, rate (in requests per second) and requests.

    A request is [method, path, token, body]. Its time begins when it is due, not when somebody gets round to it.
    Without a rate each is due when the one before has been answered.
    """
    requests, results = job["requests"], [[0.0, 0.0] for _ in job["requests"]]
    numbers, begun = itertools.count(), time.perf_counter() + 0.2

    def call() -> None:
        connection = Connection(job["address"], timeout=60)
        while (number := next(numbers)) < len(requests):
            due = begun + number / job["rate"] if job["rate"] else time.perf_counter()
            time.sleep(max(0.0, due - time.perf_counter()))
            method, path, token, body = requests[number]
            headers = {"Authorization": f"Bearer {token}", **({"Content-Type": "application/json"} if body else {})}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            response.read()
            results[number] = [time.perf_counter() - due, response.status]
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(THREADS if job["rate"] else 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


async def listen(address: str, token: str, path: str, count: int) -> None:
    """Open `count` streams and say `ready`; then, for each line read, say when the next notice has reached all."""
    streams = []
    while len(streams) < count:  # not all at once: that would measure a crowd at the door
        few = min(AT_ONCE, count - len(streams))
        streams += await asyncio.gather(*[open_stream(address, token, path) for _ in range(few)])
    print("ready", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        await asyncio.gather(*[until(reader, NOTICE) for reader, _writer in streams])
        print(time.time(), flush=True)


async def open_stream(address: str, token: str, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream that has told the state of its task twice: from then on it hears notices."""
    reader, writer = await asyncio.open_unix_connection(address)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"No stream of events: {status!r}")
    await until(reader, STATE)
    await until(reader, STATE)
    return reader, writer  # a writer that nobody has any more hangs up


async def until(stream: asyncio.StreamReader, beginning: bytes | tuple[bytes, ...]) -> None:
    """Read to the next line that begins so, or so."""
    while line := await stream.readline():
        if line.startswith(beginning):
            return
    raise RuntimeError("A stream of events has ended.")


if __name__ == "__main__":
    if sys.argv[1] == "load":
        print(json.dumps(load(json.load(sys.stdin))))
    else:
        address, token, path, count = sys.argv[2:]
        asyncio.run(listen(address, token, path, int(count)))
