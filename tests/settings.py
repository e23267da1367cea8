"""The example site's settings over a folder, a database and a Valkey of this test run's own.

`AI_IMAGES_TEST_VAR` names the folder in processes that tests start (`services.child_environment`).
`TEST_DATABASE=postgresql` runs the tests on an embedded PostgreSQL instead of SQLite, `TEST_STORAGE=s3` with both
storages in an embedded SeaweedFS instead of folders, and `TEST_CMS=1` with django CMS installed.
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
    os.environ.pop("AI_IMAGES_TEST_S3", None)  # of the process that started the test processes, which share nothing
os.environ.pop("REDIS_URL", None)

if os.environ.get("TEST_CMS") == "1":
    from project.settings_cms import *  # noqa: F403
else:
    from project.settings import *  # noqa: F403
from project.settings import CMS_AI_IMAGES, DATABASES, STORAGES, VAR

SECRET_KEY = "tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A file, not memory: worker processes and threads that tests start open it too.
DATABASES["default"]["NAME"] = VAR / "test.sqlite3"
DATABASES["default"]["TEST"] = {"NAME": VAR / "test.sqlite3"}

if os.environ.get("TEST_DATABASE") == "postgresql":
    from tests.services import postgresql_database

    DATABASES["default"] = postgresql_database(VAR / "postgresql")

if os.environ.get("TEST_STORAGE") == "s3":
    from tests.seaweedfs import running, s3_settings

    S3_ENDPOINT, _server = running(VAR / "seaweedfs")
    if _server:
        atexit.register(_server.stop)
    _s3 = s3_settings(S3_ENDPOINT)
    STORAGES = {**STORAGES, **_s3["STORAGES"]}
    FILER_STORAGES = _s3["FILER_STORAGES"]

# Tests ask more often than people do. Those of the limits set them.
CMS_AI_IMAGES = {**CMS_AI_IMAGES, "LIMITS": {"requests_per_minute": None, "active_tasks": None}}
# For processes that tests start: settings of the app as JSON, such as short leases.
CMS_AI_IMAGES = {**CMS_AI_IMAGES, **json.loads(os.environ.get("AI_IMAGES_TEST_SETTINGS", "{}"))}
