"""`python -m tests.faults --runs 200`: many bad days in a row, each another one."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Prepare the environment before anything of Django is imported, run, and clean up unless something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--only", default="", help="Only faults whose name contains this.")
    parser.add_argument("--quick", action="store_true", help="Leave out those that take ten seconds or more.")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("AI_IMAGES_FAULT_SEED") or 0))
    options = parser.parse_args()
    seed = options.seed or random.SystemRandom().randrange(1, 10**6)

    folder = Path(tempfile.mkdtemp(prefix="ai-images-faults-"))
    os.environ.update(DJANGO_SETTINGS_MODULE="tests.faults.settings", AI_IMAGES_TEST_VAR=str(folder))
    os.environ.pop("TEST_DATABASE", None)
    database = None
    if options.database == "postgresql":
        from .servers import Postgresql

        database = Postgresql(folder / "postgresql")
        os.environ["AI_IMAGES_FAULT_DATABASE"] = json.dumps(database.settings)

    import django

    django.setup()
    from . import site
    from .runs import run_all

    place = site.build(database)
    try:
        wrong = run_all(place, seed=seed, runs=options.runs, only=options.only, quick=options.quick)
    finally:
        place.stop()
    if wrong:
        print(f"Kept for a look: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if wrong else 0


sys.exit(main())
