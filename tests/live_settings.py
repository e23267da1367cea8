"""Settings of the site that programs are tried on: those of the browser tests, without limits for one person.

`AI_IMAGES_LIVE_SETTINGS` holds more settings of the app, as JSON.
"""

import json
import os

from tests.browser.settings import *  # noqa: F403

CMS_AI_IMAGES = {
    **CMS_AI_IMAGES,  # noqa: F405
    "LIMITS": {"requests_per_minute": None, "active_tasks": None},
    "OPENAI_WAIT_SECONDS": 10,
    "OPENAI_MODELS": {"dall-e-3": "quick", "gone": "removed"},
    **json.loads(os.environ.get("AI_IMAGES_LIVE_SETTINGS", "{}")),
}
