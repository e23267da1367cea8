"""The example site's settings over a folder, a database and a Valkey of this test run's own.

`AI_IMAGES_TEST_VAR` names the folder in processes that tests start (`services.child_environment`).
`TEST_DATABASE=postgresql` runs the tests on an embedded PostgreSQL instead of SQLite.
"""

import atexit
import json
import os
import shutil
import tempfile

# The folder is chosen before the example site's settings are read, because they derive every path from it.
if "AI_IMAGES_TEST_VAR" in os.environ:
    os.environ["AI_IMAGES_VAR"] = os.environ["AI_IMAGES_TEST_VAR"]
else:
    os.environ["AI_IMAGES_VAR"] = tempfile.mkdtemp(prefix="ai-images-tests-")
    atexit.register(shutil.rmtree, os.environ["AI_IMAGES_VAR"], ignore_errors=True)
os.environ.pop("REDIS_URL", None)

from project.settings import *  # noqa: F403
from project.settings import CMS_AI_IMAGES, DATABASES, VAR

SECRET_KEY = "tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A file, not memory: worker processes and threads that tests start open it too.
DATABASES["default"]["NAME"] = VAR / "test.sqlite3"
DATABASES["default"]["TEST"] = {"NAME": VAR / "test.sqlite3"}

if os.environ.get("TEST_DATABASE") == "postgresql":
    from tests.services import postgresql_database

    DATABASES["default"] = postgresql_database(VAR / "postgresql")

# For processes that tests start: settings of the app as JSON, such as short leases.
CMS_AI_IMAGES = {**CMS_AI_IMAGES, **json.loads(os.environ.get("AI_IMAGES_TEST_SETTINGS", "{}"))}
