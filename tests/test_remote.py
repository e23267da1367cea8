"""Reference pictures at an address: a real server with TLS, of this network, which each test has to allow."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from cms_ai_images.exceptions import AddressRefused, AIImagesError, RemotePictureUnavailable, UploadTooLarge
from cms_ai_images.safety import remote

PICTURE = b"\x89PNG and so on"


class Server(http.server.ThreadingHTTPServer):
    """Answers with what `answers` says for a path, and notes who asked."""

    daemon_threads = True
    answers: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]]
    asked: list[str]

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.answers[self.path](self)

    def log_message(self, *args: object) -> None:
        """Not to the terminal."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings) -> Iterator[Server]:
    """Trusted, and in the list."""
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.answers, server.asked = {"/picture": sending(PICTURE)}, []
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        settings.CMS_AI_IMAGES = {"REMOTE_PICTURE_HOSTS": [server.host], "REMOTE_PICTURE_SECONDS": 5}
        yield server
        server.shutdown()


def sending(body: bytes, status: int = 200, **headers: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """An answer."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_bytes_of_a_listed_server_arrive_whatever_it_says_they_are(server):
    server.answers["/picture"] = sending(PICTURE, Content_Type="text/html", Content_Length=str(len(PICTURE)))
    assert remote.fetch(f"https://{server.host}/picture", private=True) == PICTURE
    server.answers["/no-length"] = sending(PICTURE)
    assert remote.fetch(f"https://{server.host}/no-length", private=True) == PICTURE


def test_address_with_other_letters_is_asked_for_as_browsers_do(server):
    server.answers["/caf%C3%A9%20au%20lait?q=1"] = sending(PICTURE)
    assert remote.fetch(f"https://{server.host}/café au lait?q=1", private=True) == PICTURE


def test_nothing_inside_this_network_is_asked(server):
    with pytest.raises(AddressRefused) as refused:
        remote.fetch(f"https://{server.host}/picture")
    assert (refused.value.field, server.asked) == ("references", [])


@pytest.mark.parametrize("hosts", [[], ["example.org"], ["127.0.0.1"]])
def test_server_that_is_not_listed_is_not_asked(server, settings, hosts):
    settings.CMS_AI_IMAGES = {"REMOTE_PICTURE_HOSTS": hosts}
    with pytest.raises(AddressRefused):
        remote.fetch(f"https://{server.host}/picture", private=True)
    assert server.asked == []


def test_only_https_is_asked_even_where_the_list_says_otherwise(settings):
    settings.CMS_AI_IMAGES = {"REMOTE_PICTURE_HOSTS": ["http://127.0.0.1"]}
    for url in ("http://127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd", "data:image/png;base64,AAAA", "", "\0"):
        with pytest.raises(AddressRefused):
            remote.fetch(url, private=True)


def test_redirects_are_followed_a_few_times(server):
    for number in range(1, 5):
        server.answers[f"/{number}"] = sending(b"", 302, Location=f"{number - 1}")
    server.answers["/0"] = sending(PICTURE)
    assert remote.fetch(f"https://{server.host}/3", private=True) == PICTURE
    with pytest.raises(RemotePictureUnavailable):
        remote.fetch(f"https://{server.host}/4", private=True)


@pytest.mark.parametrize(
    "location",
    ["https://127.0.0.2/picture", "http://{host}/picture", "file:///etc/passwd", "https://u:p@{host}/", "//evil.org/"],
)
def test_redirect_leads_nowhere_else(server, location):
    server.answers["/away"] = sending(b"", 302, Location=location.format(host=server.host))
    with pytest.raises(AddressRefused):
        remote.fetch(f"https://{server.host}/away", private=True)
    assert server.asked == ["/away"]


def test_redirect_into_this_network_is_refused_at_its_own_hop(server, settings):
    """`localhost` is listed, and leads inside."""
    settings.CMS_AI_IMAGES = {"REMOTE_PICTURE_HOSTS": [f"localhost:{server.server_port}"]}
    with pytest.raises(AddressRefused, match="localhost"):
        remote.fetch(f"https://localhost:{server.server_port}/picture")
    assert server.asked == []


@pytest.mark.parametrize("says_so", [True, False])
def test_larger_than_allowed_is_given_up(server, settings, says_so):
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "UPLOAD_MAX_MIB": 1}
    body = bytes(3 * 2**20)
    server.answers["/large"] = sending(body, **({"Content_Length": str(len(body))} if says_so else {}))
    with pytest.raises(UploadTooLarge) as refused:
        remote.fetch(f"https://{server.host}/large", private=True)
    assert refused.value.field == "references"


def test_server_that_takes_its_time_is_left(server, settings):
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "REMOTE_PICTURE_SECONDS": 0.5}
    gone = threading.Event()

    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):  # the other side hangs up
            while not gone.wait(0.05):
                handler.wfile.write(b"a")

    server.answers["/slow"] = drip
    begun = time.monotonic()
    with pytest.raises(RemotePictureUnavailable):
        remote.fetch(f"https://{server.host}/slow", private=True)
    assert time.monotonic() - begun < 5
    gone.set()


def test_nobody_knows_in_time_where_a_name_leads(server, settings, monkeypatch):
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "REMOTE_PICTURE_SECONDS": 0.5}
    gone = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: gone.wait(60))
    begun = time.monotonic()
    with pytest.raises(RemotePictureUnavailable):
        remote.fetch(f"https://{server.host}/picture", private=True)
    assert time.monotonic() - begun < 20
    gone.set()


@pytest.mark.parametrize("status", [204, 304, 401, 404, 500, 302])
def test_any_other_answer_is_no_picture(server, status):
    server.answers["/odd"] = sending(b"", status)  # a redirect to nowhere is one to itself
    with pytest.raises(RemotePictureUnavailable, match=r"127\.0\.0\.1"):
        remote.fetch(f"https://{server.host}/odd", private=True)


def test_certificate_must_be_right(server, monkeypatch, tmp_path):
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    with pytest.raises(RemotePictureUnavailable) as failed:
        remote.fetch(f"https://{server.host}/picture", private=True)
    assert isinstance(failed.value.__cause__, ssl.SSLCertVerificationError)
    assert isinstance(failed.value, AIImagesError) and "CERT" not in str(failed.value)
