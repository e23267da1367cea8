"""One request to a server that somebody named: to the address that was looked at, in bounded time, without redirects.

Proxies of the environment are not asked: through one nobody knows which address is called.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from cms_ai_images.safety import addresses


@contextlib.contextmanager
def exchange(
    method: str,
    url: str,
    *,
    seconds: float,
    private: bool = False,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Iterator[http.client.HTTPResponse]:
    """Send a request and give the response, whose body is still to be read, within `seconds` in all.

    A redirect is a response like any other. Whoever follows it calls this again, which looks at the new address.
    `private` allows addresses inside this network. Raises `AddressRefused`; `TimeoutError` when the time is over, also
    for a server that sends a byte now and then; `OSError` or `http.client.HTTPException` for anything else.
    """
    parts = addresses.split(url)
    host, port = str(parts.hostname), addresses.port_of(parts)
    begun = time.monotonic()
    address = addresses.resolve(host, port, private=private, seconds=seconds)
    connection = (_Https if parts.scheme == "https" else _Http)(host, port, timeout=seconds)
    connection.address = address
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with _ended_after(seconds - (time.monotonic() - begun), connection):
        connection.request(method, target, body=body, headers={"User-Agent": "cms-ai-images", **(headers or {})})
        with connection.getresponse() as response:
            yield response


@contextlib.contextmanager
def _ended_after(seconds: float, connection: _Http) -> Iterator[None]:
    """Socket timeouts begin anew with each byte, so somebody has to look at the clock."""
    is_done, is_over = threading.Event(), threading.Event()

    def watch() -> None:
        pause = max(0.0, seconds)
        while not is_done.wait(pause):
            is_over.set()
            pause = 0.1  # there may be no socket yet
            if connection.opened is not None:
                with contextlib.suppress(OSError):  # it is closed
                    socket.socket.shutdown(connection.opened, socket.SHUT_RDWR)  # wakes the reader; TLS's own does not

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        if is_over.is_set():
            raise TimeoutError(f"no answer within {seconds:.0f} s") from error
        raise
    else:
        if is_over.is_set():  # what was read may have ended too early
            raise TimeoutError(f"no answer within {seconds:.0f} s")
    finally:
        is_done.set()
        connection.close()


class _Http(http.client.HTTPConnection):
    """Connects to the address it is told, and says the host's name."""

    address: str = ""
    opened: socket.socket | None = None
    """The socket. `sock` forgets it before the body is read, when the server is going to close it."""

    def connect(self) -> None:
        self.sock = self.opened = socket.create_connection((self.address, self.port), self.timeout)


class _Https(_Http):
    """The same with TLS, where the name must be in the certificate."""

    default_port = http.client.HTTPS_PORT

    def connect(self) -> None:
        super().connect()
        tls: Any = ssl.create_default_context().wrap_socket(
            self.sock, server_hostname=self.host, do_handshake_on_connect=False
        )
        self.sock = self.opened = tls  # before the handshake, so that it can be ended
        tls.do_handshake()
