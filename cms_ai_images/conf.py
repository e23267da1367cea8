"""Settings: `CMS_AI_IMAGES = {...}` in the site's settings, over the defaults below.

Read lazily as `conf.get("NAME")`; changes made by tests are noticed. `docs/settings.md` explains each.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.translation import gettext_lazy as _

DEFAULTS: dict[str, Any] = {
    # What a request may ask for.
    "PROMPT_MAX_LENGTH": 2000,
    "MAX_IMAGES_PER_REQUEST": 4,
    "DEFAULT_MODEL": None,
    "QUEUE_WITHOUT_WORKER": False,
    # What becomes of the pictures.
    "AUTO_ACCEPT": False,
    "LIBRARY_FOLDER": "AI images",
    "DRAFT_STORAGE": "ai_images_drafts",
    "DRAFT_RETENTION_DAYS": 30,
    "OUTPUT_FORMAT": "png",
    # What the empty dialog offers to begin with.
    "PROMPT_EXAMPLES": [
        _("a red fox reading in a library"),
        _("a lighthouse on a cliff at dawn"),
        _("a bowl of apples on a wooden table"),
    ],
    # Which form fields hold an article's title and summary, the likeliest first: a start for describing a picture.
    "ARTICLE_FIELDS": {
        "title": ["title", "headline", "name"],
        "summary": ["summary", "lead", "teaser", "abstract", "description", "subtitle"],
    },
    # Backends by alias; a model row names one.
    "BACKENDS": {
        "diffusers": "cms_ai_images.backends.diffusers.DiffusersBackend",
        "dummy": "cms_ai_images.backends.dummy.DummyBackend",
    },
    # The worker. Times are in seconds.
    "LEASE_SECONDS": 10,
    "HEARTBEAT_SECONDS": 2,
    "WORKER_TIMEOUT_SECONDS": 30,
    "TASK_TIMEOUT_SECONDS": 300,
    "LOAD_TIMEOUT_SECONDS": 1800,
    "RECONCILE_SECONDS": 2,
    "MODEL_MEMORY_GIB": None,
    "LANDING_BACKLOG": 8,
    "LANDING_TIMEOUT_SECONDS": 120,
    "STOP_GRACE_SECONDS": 60,
    "USER_CONCURRENCY": 2,
    "MAX_FAILURES": 3,
    "MAX_DEVICE_LOSSES": 6,
    "RETRY_PAUSES_SECONDS": [2, 10, 60],
    # Progress and events.
    "PROGRESS_TTL_SECONDS": 3600,
    "PREVIEW_SECONDS": 1.0,
    "EVENTS_MAX_SECONDS": 900,
    # Budgets.
    "CREDITS": False,
    # What is remembered of people.
    "AUDIT_RETENTION_DAYS": None,
    "DELETED_USER_PROMPTS": "keep",
}


@lru_cache(maxsize=1)
def _merged() -> dict[str, Any]:
    site = getattr(settings, "CMS_AI_IMAGES", {})
    unknown = sorted(set(site) - set(DEFAULTS))
    if unknown:
        raise ImproperlyConfigured(f"CMS_AI_IMAGES has unknown keys: {', '.join(unknown)}.")
    merged = {**DEFAULTS, **site}
    merged["BACKENDS"] = {**DEFAULTS["BACKENDS"], **site.get("BACKENDS", {})}
    return merged


def get(name: str) -> Any:
    """The value of one setting; `KeyError` for a name that has no default above."""
    return _merged()[name]


def _clear(*, setting: str, **kwargs: Any) -> None:
    if setting == "CMS_AI_IMAGES":
        _merged.cache_clear()


setting_changed.connect(_clear, dispatch_uid="cms_ai_images.conf")
