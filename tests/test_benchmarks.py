"""Every benchmark runs and says what it should. How fast this machine is, is no matter for a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

from benchmarks.__main__ import NAMES
from benchmarks.results import Result

MARKS = {
    "queue_efficiency": 0.97,
    "overlap": 0.95,
    "preview_cost": 0.02,
    "claim_cost": 1.5,
    "cancel_latency": 1,
    "recovery_seconds": 15.0,
    "api_latency": 1.5,
}
DETAILS = {
    "queue_efficiency": {"standard_error", "rounds", "picture_seconds", "overhead_seconds", "pictures_in_a_round"},
    "overlap": {"rounds", "gpu_seconds", "landing_seconds", "without_overlap"},
    "batching": {"rounds", "tasks", "max_batch"},
    "against_naive": {"rounds", "requests", "max_batch"},
    "preview_cost": {"at_every_step", "picture_seconds", "steps"},
    "claim_cost": {"alone_20", "alone_200", "four_together_20", "four_together_200", "database"},
    "submit_cost": {"queued_0", "queued_0_with_seed", "queued_200", "queued_200_with_seed", "database"},
    "cancel_latency": {"samples", "median_seconds", "step_seconds"},
    "recovery_seconds": {"samples", "median"},
    "api_latency": {
        *("growth", "requests_per_second"),
        *(f"{kind}_{rows}" for kind in ("submit", "show", "list") for rows in (60, 600)),
    },
    "event_streams": {"rounds", "streams", "kib_per_stream", "database_connections", "percent_of_a_core"},
}


@pytest.mark.timeout(1200)  # they start a dozen processes, and a busy machine takes its time
def test_all_of_them_run_and_print_one_json_object():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AI_IMAGES_")}
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    report = json.loads(ended.stdout)
    assert set(report) == {"benchmarks", "database", "quick", "machine"}
    assert (report["database"], report["quick"], list(report["benchmarks"])) == ("sqlite", True, list(NAMES))
    for name, result in report["benchmarks"].items():
        assert set(result) == {"value", "unit", "mark", "reached", "seconds", *DETAILS[name]}
        assert result["mark"] == MARKS.get(name)
        assert isinstance(result["reached"], bool) == (name in MARKS)
    claims = report["benchmarks"]["claim_cost"]
    for kind in ("alone", "four_together"):  # the one figure that is the same on every machine
        assert claims[f"{kind}_20"]["queries"] == claims[f"{kind}_200"]["queries"]
    assert report["benchmarks"]["queue_efficiency"]["value"] > 0
    answers = report["benchmarks"]["api_latency"]
    for kind, most in (("submit", 12), ("show", 1), ("list", 3)):
        few, many = (answers[f"{kind}_{rows}"]["queries_after_authentication"] for rows in (60, 600))
        assert 1 <= few == many <= most
    assert report["benchmarks"]["event_streams"]["database_connections"]["middle"] == 0


@pytest.mark.parametrize(
    ("fields", "reached"),
    [
        ({"value": 0.97, "mark": 0.97}, True),
        ({"value": 0.96, "mark": 0.97}, False),
        ({"value": 15.1, "mark": 15.0, "at_most": True}, False),
        ({"value": 3.0, "mark": 15.0, "at_most": True}, True),
        ({"value": 3.0}, None),
    ],
)
def test_a_mark_is_reached_from_the_right_side(fields, reached):
    assert Result(unit="s", **fields).reached is reached


def test_figures_are_printed_no_finer_than_they_are_measured():
    result = Result(value=0.123456, unit="s", details={"rounds": [1.23456, 2], "database": "sqlite"}).as_dict()
    assert (result["value"], result["rounds"], result["database"]) == (0.1235, [1.235, 2], "sqlite")
