"""The tests' settings with short leases, points that are counted, and places where the harness can make trouble.

`AI_IMAGES_FAULT_DATABASE` holds the database as JSON where it is not SQLite: every process must find the same one, and
none may start it anew while the harness has it stopped.
"""

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import CMS_AI_IMAGES, DATABASES, STORAGES, VAR

if database := os.environ.get("AI_IMAGES_FAULT_DATABASE"):
    DATABASES["default"] = json.loads(database)

STORAGES = {
    **STORAGES,
    "default": {"BACKEND": "tests.faults.storages.TroubledStorage"},
    "ai_images_drafts": {
        "BACKEND": "tests.faults.storages.TroubledStorage",
        "OPTIONS": {"location": VAR / "drafts", "place": "drafts"},
    },
}

FILER_STORAGES: dict = {}  # the harness makes trouble in folders, whatever the other tests keep their files in

CMS_AI_IMAGES = {
    "BACKENDS": {"troubled": "tests.faults.backends.TroubledBackend"},
    "CREDITS": True,
    "QUEUE_WITHOUT_WORKER": True,
    "LEASE_SECONDS": 2,
    "HEARTBEAT_SECONDS": 0.4,
    "WORKER_TIMEOUT_SECONDS": 4,
    "LOAD_TIMEOUT_SECONDS": 60,
    "LANDING_TIMEOUT_SECONDS": 4,
    "STOP_GRACE_SECONDS": 0.5,
    "RECONCILE_SECONDS": 0.4,
    "RETRY_PAUSES_SECONDS": [0.2],
    **CMS_AI_IMAGES,
    "LIMITS": {"task_seconds": 4, **CMS_AI_IMAGES["LIMITS"]},
}
