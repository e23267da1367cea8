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
    "LIMITS": {
        "requests_per_minute": 3,
        "active_tasks": 10,
        "images_per_request": 4,
        "pixels": None,
        "steps": None,
        "prompt_length": 2000,
        "queue_length": None,
        "task_seconds": 300,
        "storage_mib": None,
    },
    "DEFAULT_MODEL": None,
    "QUEUE_WITHOUT_WORKER": False,
    # Pictures that people bring.
    "UPLOAD_MAX_MIB": 20,
    "UPLOAD_MAX_PIXELS": 36_000_000,
    "REMOTE_PICTURE_HOSTS": [],
    "REMOTE_PICTURE_SECONDS": 10,
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
    # Webhooks: who is told that tasks have ended.
    "WEBHOOK_ALLOWED_HOSTS": [],
    "WEBHOOK_PRIVATE_HOSTS": [],
    "WEBHOOK_TIMEOUT_SECONDS": 10,
    "WEBHOOK_PAUSES_SECONDS": [5, 300, 1800, 7200, 18000, 36000],
    "WEBHOOK_RETENTION_DAYS": 30,
    "WEBHOOKS_IN_WORKERS": True,
    # The endpoint for clients of the OpenAI images API.
    "OPENAI_WAIT_SECONDS": 300,
    "OPENAI_MODELS": {},
    # Budgets.
    "CREDITS": False,
    "MONTHLY_POINTS": 0,
    "LOW_BALANCE": 0,
    # What is remembered of people.
    "AUDIT_RETENTION_DAYS": None,
    "DELETED_USER_PROMPTS": "keep",
}
DELETED_USER_PROMPTS = ("keep", "anonymise", "remove")
"""What that setting can say."""


@lru_cache(maxsize=1)
def _merged() -> dict[str, Any]:
    site = getattr(settings, "CMS_AI_IMAGES", {})
    unknown = sorted(set(site) - set(DEFAULTS))
    if unknown:
        raise ImproperlyConfigured(f"CMS_AI_IMAGES has unknown keys: {', '.join(unknown)}.")
    merged = {**DEFAULTS, **site}
    merged["BACKENDS"] = {**DEFAULTS["BACKENDS"], **site.get("BACKENDS", {})}
    merged["LIMITS"] = _limits(site.get("LIMITS", {}))
    if merged["DELETED_USER_PROMPTS"] not in DELETED_USER_PROMPTS:  # a typing error must not keep what should go
        raise ImproperlyConfigured(
            f"CMS_AI_IMAGES['DELETED_USER_PROMPTS'] must be one of: {', '.join(DELETED_USER_PROMPTS)}."
        )
    return merged


def _limits(site: dict[str, Any]) -> dict[str, Any]:
    """The site's limits over the defaults. 0 is refused: would it mean nothing at all, or no limit?"""
    unknown = sorted(set(site) - set(DEFAULTS["LIMITS"]))
    if unknown:
        raise ImproperlyConfigured(f"CMS_AI_IMAGES['LIMITS'] has unknown keys: {', '.join(unknown)}.")
    for name, limit in site.items():
        is_number = isinstance(limit, int if name != "task_seconds" else int | float) and limit > 0
        if isinstance(limit, bool) or not (is_number or (limit is None and name != "task_seconds")):
            raise ImproperlyConfigured(
                f"CMS_AI_IMAGES['LIMITS']['{name}'] is {limit!r}; it must be a number above 0, or None for no limit "
                "(but every task must end)."
            )
    return {**DEFAULTS["LIMITS"], **site}


def get(name: str) -> Any:
    """The value of one setting; `KeyError` for a name that has no default above."""
    return _merged()[name]


def _clear(*, setting: str, **kwargs: Any) -> None:
    if setting == "CMS_AI_IMAGES":
        _merged.cache_clear()


setting_changed.connect(_clear, dispatch_uid="cms_ai_images.conf")
