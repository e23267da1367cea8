"""A server that takes webhooks, on a port of its own, as a receiver would run one."""

from __future__ import annotations

import dataclasses
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from standardwebhooks.webhooks import Webhook


@dataclasses.dataclass(frozen=True, kw_only=True)
class Message:
    """What came in."""

    headers: dict[str, str]
    body: bytes

    def verified(self, secret: str) -> Any:
        """The body, once the signature has been checked as a receiver checks it."""
        return Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """Answers each message with `status`, after `go_on` is set, and keeps it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.status = 204
        self.location = ""
        self.raw = b""
        """Sent in place of an answer."""
        self._arrived: queue.Queue[Message] = queue.Queue()
        self.go_on = threading.Event()
        self.go_on.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                message = Message(headers=dict(self.headers), body=body)
                receiver.messages.append(message)
                receiver._arrived.put(message)
                receiver.go_on.wait(30)
                if receiver.raw:
                    self.wfile.write(receiver.raw)
                    return
                self.send_response(receiver.status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                """A sender that has gone is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}/hook?a=b"

    @property
    def settings(self) -> dict[str, Any]:
        """What allows this site to call it."""
        return {"WEBHOOK_ALLOWED_HOSTS": [f"http://{self.host}"], "WEBHOOK_PRIVATE_HOSTS": ["127.0.0.1"]}

    def wait(self, seconds: float = 60) -> Message:
        """The next message, when it is there."""
        try:
            return self._arrived.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError("no message came") from None

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
