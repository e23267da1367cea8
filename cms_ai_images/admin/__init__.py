"""Plain admin pages for every table, and the link from a library file back to its task."""

from . import audit, credits, library, limits, models, presets, queues, spending, tasks, tokens, webhooks, workers

__all__ = [
    "audit",
    "credits",
    "library",
    "limits",
    "models",
    "presets",
    "queues",
    "spending",
    "tasks",
    "tokens",
    "webhooks",
    "workers",
]
