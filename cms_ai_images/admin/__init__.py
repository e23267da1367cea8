"""Plain admin pages for every table, and the link from a library file back to its task."""

from . import credits, library, models, presets, tasks, tokens, workers

__all__ = ["credits", "library", "models", "presets", "tasks", "tokens", "workers"]
