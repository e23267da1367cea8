"""The example site's settings, on the database and the storages that the environment names, with or without CMS."""

import json
import os

if os.environ.get("AI_IMAGES_SITE_CMS") == "1":
    from project.settings_cms import *  # noqa: F403
else:
    from project.settings import *  # noqa: F403

from project.settings import CMS_AI_IMAGES, STORAGES, VAR

# One person, many tests. A module that needs settings of the app has a site of its own and says them as JSON.
CMS_AI_IMAGES = {
    **CMS_AI_IMAGES,
    "LIMITS": {"requests_per_minute": None, "active_tasks": None},
    **json.loads(os.environ.get("AI_IMAGES_SITE_SETTINGS", "{}")),
}

# Where the harness looks for it, whatever the variant calls it.
DATABASES = {"default": {**DATABASES["default"], "NAME": VAR / "db.sqlite3"}}  # noqa: F405
if database := os.environ.get("AI_IMAGES_SITE_DATABASE"):
    DATABASES = {"default": json.loads(database)}

if endpoint := os.environ.get("AI_IMAGES_TEST_S3"):
    from tests.seaweedfs import s3_settings

    _s3 = s3_settings(endpoint)
    STORAGES = {**STORAGES, **_s3["STORAGES"]}
    FILER_STORAGES = _s3["FILER_STORAGES"]
    CONTENT_SECURITY_POLICY["DIRECTIVES"]["img-src"].append(endpoint)  # noqa: F405
