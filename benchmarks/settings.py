"""The example site's settings over a folder, a Valkey and a database of this run's own.

The environment carries what differs between the processes of a run:

- `AI_IMAGES_BENCH_VAR`: the folder
- `AI_IMAGES_BENCH_DATABASE`: a database as JSON, in place of SQLite
- `AI_IMAGES_BENCH_POOL`: how many connections to PostgreSQL a process keeps, where it does
- `AI_IMAGES_BENCH_SETTINGS`: settings of the app as JSON, such as how often a worker makes previews
- `AI_IMAGES_BENCH_STORAGE_SECONDS`: how long the draft storage takes for each file
"""

import json
import os
import tempfile

# The folder is chosen before the example site's settings are read, because they derive every path from it.
os.environ["AI_IMAGES_VAR"] = os.environ.get("AI_IMAGES_BENCH_VAR") or tempfile.mkdtemp(prefix="ai-images-bench-")
os.environ.pop("REDIS_URL", None)

from project.settings import *  # noqa: F403
from project.settings import DATABASES, REDIS_URL, STORAGES, VAR

SECRET_KEY = "benchmarks"  # noqa: S105 - nobody logs in here
ALLOWED_HOSTS = ["127.0.0.1"]

if "AI_IMAGES_BENCH_DATABASE" in os.environ:
    DATABASES["default"] = json.loads(os.environ["AI_IMAGES_BENCH_DATABASE"])

if "AI_IMAGES_BENCH_POOL" in os.environ:
    DATABASES["default"]["OPTIONS"] = {"pool": {"min_size": 1, "max_size": int(os.environ["AI_IMAGES_BENCH_POOL"])}}
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

STORAGES["ai_images_drafts"] = {
    "BACKEND": "benchmarks.standin.SlowStorage",
    "OPTIONS": {
        "location": VAR / "drafts",
        "seconds": float(os.environ.get("AI_IMAGES_BENCH_STORAGE_SECONDS", "0")),
    },
}

# A pool for each kind of worker, so that several kinds can be up at once.
POOLS = ("images", "standin", "silent", "eager")
RQ_QUEUES = {f"{pool}-{priority}": {"URL": REDIS_URL} for pool in POOLS for priority in ("high", "normal", "low")}

CMS_AI_IMAGES = {
    "BACKENDS": {"standin": "benchmarks.standin.StandIn"},
    "LIMITS": {"requests_per_minute": None, "active_tasks": None},
    **json.loads(os.environ.get("AI_IMAGES_BENCH_SETTINGS", "{}")),
}
