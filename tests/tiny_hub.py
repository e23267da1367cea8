"""A model hub on loopback: folders served as repositories, and a record of which files were asked for."""

from __future__ import annotations

import hashlib
import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
"""The one commit of every repository."""


class TinyHub:
    """Serves `root/<owner>/<name>/` as the repository `<owner>/<name>` while the context lasts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.fetched: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> TinyHub:
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()

    def files(self, repository: str) -> list[Path]:
        """The files of a repository, none where there is no such repository."""
        return sorted(path for path in (self.root / repository).rglob("*") if path.is_file())

    def answer(self, path: str, *, body_wanted: bool) -> tuple[HTTPStatus, dict[str, str], bytes]:
        """(status, headers, body) for a request: a file, or what the API says about a repository."""
        parts = unquote(urlsplit(path).path).strip("/").split("/")
        if parts[:2] == ["api", "models"] and self.files("/".join(parts[2:4])):
            return HTTPStatus.OK, {"Content-Type": "application/json"}, json.dumps(self._about(parts[2:])).encode()
        file = self.root.joinpath(*parts[:2], *parts[4:])
        if parts[2:3] == ["resolve"] and file.is_file():
            content = file.read_bytes()
            if body_wanted:
                self.fetched.append("/".join(parts[4:]))
            headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            return HTTPStatus.OK, headers, content
        return HTTPStatus.NOT_FOUND, {"X-Error-Code": "RepoNotFound"}, b""

    def _about(self, parts: list[str]) -> object:
        repository = "/".join(parts[:2])
        names = [str(file.relative_to(self.root / repository)) for file in self.files(repository)]
        if parts[2:3] == ["tree"]:
            sizes = {name: (self.root / repository / name).stat().st_size for name in names}
            return [{"type": "file", "path": name, "size": size, "oid": "0" * 40} for name, size in sizes.items()]
        return {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}

    def _handler(hub: TinyHub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.respond(body_wanted=False)

            def do_GET(self) -> None:
                self.respond(body_wanted=True)

            def respond(self, *, body_wanted: bool) -> None:
                status, headers, body = hub.answer(self.path, body_wanted=body_wanted)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if body_wanted:
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """The hub keeps its own record."""

        return Handler
