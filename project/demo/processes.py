"""The processes that the demo starts, and none of which outlives it.

Each gets a session of its own, so that Ctrl-C in the terminal reaches only the demo, which then stops them in order. If
the demo itself is killed, Linux sends them a signal in its place.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

STOP_SECONDS = 10
LOG_LINES = 20
PR_SET_PDEATHSIG = 1
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProcessEnded(Exception):
    """A process that should go on has ended."""

    def __init__(self, name: str, status: int, log: Path, tail: str) -> None:
        self.name, self.status, self.log, self.tail = name, status, log, tail
        super().__init__(name)


class Processes:
    """Starts processes, notices when one ends, and stops them all."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str], *, death_signal: signal.Signals = signal.SIGKILL) -> int:
        """Run `command` until `stop()`; what it says goes to the file `name`.log. Returns its process id."""
        with self.log(name).open("wb") as log:
            self.running[name] = _popen(command, log.fileno(), log.fileno(), death_signal)
        return self.running[name].pid

    def run(self, name: str, command: list[str]) -> tuple[int, str]:
        """Run `command` to its end beside the others. Returns its exit status and what it printed."""
        output = self.logs / f"{name}.out"
        with self.log(name).open("wb") as log, output.open("wb") as out:
            process = self.running[name] = _popen(command, out.fileno(), log.fileno(), signal.SIGKILL)
        self.wait(lambda: process.poll() is not None, except_for=name)
        del self.running[name]
        return process.returncode, output.read_text()

    def wait(
        self, ready: Callable[[], bool], *, seconds: float = math.inf, except_for: str = "", pause: float = 0.1
    ) -> None:
        """Return when `ready()` says so; raise `ProcessEnded` when a process ends before, and TimeoutError."""
        until = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > until:
                raise TimeoutError
            for name, process in self.running.items():
                if name != except_for and process.poll() is not None:
                    raise ProcessEnded(name, process.returncode, self.log(name), self.tail(name))
            time.sleep(pause)

    def stop(self) -> None:
        """End all of them, the last started first: politely, then not. Nothing interrupts it."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        while self.running:
            _, process = self.running.popitem()
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self.logs / f"{name}.log"

    def tail(self, name: str) -> str:
        """The last lines that a process wrote."""
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-LOG_LINES:])


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Turn the signals that end a command into KeyboardInterrupt, once: the next one is ignored."""

    def interrupt(*args: object) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _popen(command: list[str], stdout: int, stderr: int, death_signal: signal.Signals) -> subprocess.Popen[bytes]:
    demo = os.getpid()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def tie_to_demo() -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, death_signal)
            if os.getppid() != demo:  # it died before the line above
                os._exit(1)

    return subprocess.Popen(  # noqa: S603 - the commands are the demo's own
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=tie_to_demo,
    )
