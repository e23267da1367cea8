"""Worker processes to kill."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

from cms_ai_images.models import Worker
from tests.services import child_environment, manage

START_SECONDS = 90


class Workers:
    """The living ones, and the logs of all."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        logs.mkdir(exist_ok=True)
        self.started = 0
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start one, without waiting until it works."""
        self.started += 1
        with (self.logs / f"worker-{self.started}.log").open("wb") as log:
            process = subprocess.Popen(
                manage("ai_images_worker"),
                env=child_environment(DJANGO_SETTINGS_MODULE="tests.faults.settings"),
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def died(self) -> list[int]:
        """The exit statuses of those that nobody killed and that ended all the same."""
        dead = [process for process in self.processes if process.poll() is not None]
        self.processes = [process for process in self.processes if process not in dead]
        return [process.returncode for process in dead]

    def ensure(self, count: int) -> None:
        """Have at least so many that live and work. As a supervisor does, replace those that ended by themselves."""
        until = time.monotonic() + START_SECONDS
        while self.working() < count:
            while sum(process.poll() is None for process in self.processes) < count:
                self.start()
            if time.monotonic() > until:
                raise TimeoutError("No worker came up.")
            time.sleep(0.05)

    def working(self) -> int:
        """How many of them have said that they work."""
        pids = [process.pid for process in self.processes if process.poll() is None]
        return Worker.objects.filter(pid__in=pids, stopped_at=None).count()

    def any(self, rng: random.Random) -> subprocess.Popen[bytes]:
        """One of those that live."""
        return rng.choice([process for process in self.processes if process.poll() is None])

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL: it can say nothing any more."""
        process.kill()
        process.wait(10)
        self.processes.remove(process)

    def kill_all(self) -> None:
        """Leave nobody to work."""
        for process in list(self.processes):
            self.kill(process)

    def terminate(self, process: subprocess.Popen[bytes], seconds: float = 30) -> int:
        """SIGTERM, and its exit status."""
        process.terminate()
        status = process.wait(seconds)
        self.processes.remove(process)
        return status

    def left(self, pid: int, seconds: float) -> int | None:
        """The exit status of a process that is expected to end; `None` when it did not, and it is killed."""
        process = next(process for process in self.processes if process.pid == pid)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill(process)
            return None
        self.processes.remove(process)
        return status

    def freeze(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """All of its threads stand still for a while; then it goes on as if nothing had happened."""
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGCONT)
