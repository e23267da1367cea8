"""The short version of `python -m tests.faults`: another few bad days each time; a failure prints the seed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.conf import settings

from tests.services import child_environment


@pytest.mark.parametrize(("database", "runs"), [("postgresql", 7), ("sqlite", 3)])
def test_bad_days_lose_nothing(database, runs):
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", f"--runs={runs}", f"--database={database}", "--quick"],
        env=child_environment(),
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert f"broken in {runs} runs" in done.stdout
