"""The tables. Behaviour lives elsewhere: `lifecycle` moves tasks, `services` is the only write path."""

from .credits import CreditAccount, CreditEntry
from .generation_models import GenerationModel
from .images import GeneratedImage
from .preferences import UserPreference
from .presets import StylePreset, StylePresetVersion
from .tasks import GenerationTask
from .workers import Worker

__all__ = [
    "CreditAccount",
    "CreditEntry",
    "GeneratedImage",
    "GenerationModel",
    "GenerationTask",
    "StylePreset",
    "StylePresetVersion",
    "UserPreference",
    "Worker",
]
