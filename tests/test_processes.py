"""Processes that the demo starts never outlive it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from project.demo import processes
from project.demo.processes import ProcessEnded, Processes

from .services import child_environment

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


@pytest.fixture
def started(tmp_path: Path):
    """No process of a test stays, whatever the test does; and the signals are as they were."""
    handlers = {number: signal.getsignal(number) for number in processes.STOP_SIGNALS}
    started = Processes(tmp_path)
    yield started
    started.stop()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_stopping_ends_all_of_them_even_a_stubborn_one(started: Processes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.5)
    pids = [started.start("sleep", SLEEP), started.start("stubborn", STUBBORN)]
    started.wait(lambda: all(started.log(name).read_text() == "up\n" for name in ("sleep", "stubborn")), seconds=10)
    started.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_one_that_ends_too_early_is_noticed_with_its_last_words(started: Processes):
    started.start("sleep", SLEEP)
    started.start("broken", [sys.executable, "-c", "raise SystemExit('no disk')"])
    with pytest.raises(ProcessEnded) as caught:
        started.wait(lambda: False, seconds=10)
    assert (caught.value.name, caught.value.status, caught.value.tail) == ("broken", 1, "no disk")


def test_waiting_has_an_end(started: Processes):
    with pytest.raises(TimeoutError):
        started.wait(lambda: False, seconds=0.2)


def test_a_command_gives_its_output_and_its_status(started: Processes):
    assert started.run("fine", [sys.executable, "-c", "print('done')"]) == (0, "done\n")
    assert started.run("wrong", [sys.executable, "-c", "print('half'); raise SystemExit(3)"]) == (3, "half\n")
    assert started.running == {}


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells a process of its parent's end.")
def test_killing_the_parent_ends_them_too(tmp_path: Path):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from project.demo.processes import Processes;"
            "print(Processes(Path(sys.argv[1])).start('stubborn', sys.argv[2:]), flush=True); time.sleep(60)",
            str(tmp_path),
            *STUBBORN,
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=child_environment(),
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    assert child.is_running()
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
