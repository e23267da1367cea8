"""Calling servers that somebody named."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cms_ai_images.checks import check_settings
from cms_ai_images.exceptions import AddressRefused
from cms_ai_images.safety import addresses
from cms_ai_images.safety.outgoing import exchange


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "192.0.0.9"])
def test_addresses_of_the_internet(address: str):
    assert addresses.is_public(address)


INSIDE = """127.0.0.1 127.8.8.8 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 198.18.0.1 192.0.0.1
    192.88.99.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::7f00:1
    64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 5f00::1 100::1 fc00::1
    fd00::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1"""


@pytest.mark.parametrize("address", INSIDE.split())
def test_addresses_of_this_network_or_of_nobody(address: str):
    assert not addresses.is_public(address)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "::1"])
def test_a_name_that_leads_into_this_network_is_refused(host: str):
    with pytest.raises(AddressRefused, match="may not be called"):
        addresses.resolve(host, 80)
    assert addresses.resolve("127.0.0.1", 80, private=True) == "127.0.0.1"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "//example.org/",
        "example.org",
        "https://",
        "https://user:secret@example.org/",
        "https://example.org@127.0.0.1/",
        "https://example.org:99999/",
        "https://example.org:0/",
        "https://[::1/",
        "",
    ],
)
def test_other_addresses_are_refused(url: str):
    with pytest.raises(AddressRefused):
        addresses.split(url)


def test_a_list_of_hosts_names_scheme_host_and_port():
    hosts = ["hooks.example.org", "example.com:8443", "http://plain.example.org"]
    for url in (
        "https://hooks.example.org/a?b",
        "https://HOOKS.example.org:443",
        "https://example.com:8443/",
        "http://plain.example.org/x",
    ):
        assert addresses.check_listed(url, hosts).hostname
    for url in (
        "http://hooks.example.org/",
        "https://hooks.example.org:8443/",
        "https://a.hooks.example.org/",
        "https://hooks.example.org.evil.org/",
        "https://example.com/",
        "https://plain.example.org/",
        "https://hooks.example.org@evil.org/",
    ):
        with pytest.raises(AddressRefused):
            addresses.check_listed(url, hosts)
    with pytest.raises(AddressRefused):
        addresses.check_listed("https://hooks.example.org/", [])


@pytest.mark.parametrize("entry", ["*.example.org", "https://example.org/hooks", "ftp://example.org", "", "a b@c"])
def test_what_looks_as_if_it_allowed_more_is_no_entry(entry: str, settings):
    settings.CMS_AI_IMAGES = {"WEBHOOK_ALLOWED_HOSTS": [entry, "example.com"], "REMOTE_PICTURE_HOSTS": ["example.com"]}
    messages = [message for message in check_settings() if message.id == "cms_ai_images.E003"]
    assert len(messages) == 1
    assert f"holds what is no host: {entry}." in messages[0].msg
    assert addresses.check_listed("https://example.com", [entry, "example.com"])


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """A server that reads the head of a request and then does `answer` with the connection."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            received = b""
            while b"\r\n\r\n" not in received and (more := self.request.recv(65536)):
                received += more
            with contextlib.suppress(OSError):
                answer(self.request, received)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def test_a_request_goes_to_the_named_path_and_a_redirect_is_not_followed():
    def redirect(connection: socket.socket, request: bytes) -> None:
        connection.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n" + request
        )

    with (
        serving(redirect) as url,
        exchange("POST", f"{url}/a?b=c", seconds=10, private=True, headers={"X-A": "b"}) as response,
    ):
        assert response.status == 302
        lines = response.read().decode().splitlines()
    assert lines[0] == "POST /a?b=c HTTP/1.1"
    assert {"Host: " + url.removeprefix("http://"), "X-A: b", "User-Agent: cms-ai-images"} <= set(lines)


def test_nothing_inside_this_network_is_called_unless_it_is_allowed():
    calls: list[bytes] = []
    with (
        serving(lambda connection, request: calls.append(request)) as url,
        pytest.raises(AddressRefused),
        exchange("GET", url, seconds=10),
    ):
        pass
    assert not calls


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"], ids=repr)
def test_a_server_that_sends_a_byte_now_and_then_is_left(beginning: bytes):
    def drip(connection: socket.socket, request: bytes) -> None:
        connection.sendall(beginning)
        while True:
            connection.sendall(b"a")
            time.sleep(0.05)

    begun = time.monotonic()
    with (
        serving(drip) as url,
        pytest.raises(TimeoutError),
        exchange("GET", url, seconds=0.5, private=True) as response,
    ):
        response.read()
    assert 0.5 <= time.monotonic() - begun < 5


def test_a_server_that_is_not_there_is_an_error_of_the_system():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectionRefusedError), exchange("GET", f"http://127.0.0.1:{port}", seconds=5, private=True):
        pass


def test_what_does_not_speak_tls_is_not_believed():
    def speak_plainly(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with (
        serving(speak_plainly) as url,
        pytest.raises(OSError),
        exchange("GET", url.replace("http:", "https:"), seconds=0.5, private=True),
    ):
        pass
