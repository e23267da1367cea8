"""The tables. Behaviour lives elsewhere: `lifecycle` moves tasks, `services` is the only write path."""

from .audit import AuditEntry
from .credits import CreditAccount, CreditEntry
from .generation_models import GenerationModel
from .idempotency import IdempotencyKey
from .images import GeneratedImage
from .limits import GroupLimits
from .preferences import UserPreference
from .presets import StylePreset, StylePresetVersion
from .references import ReferencePicture
from .spending import Spending
from .tasks import GenerationTask
from .tokens import APIToken
from .webhooks import WebhookDelivery, WebhookEndpoint
from .workers import Worker

__all__ = [
    "APIToken",
    "AuditEntry",
    "CreditAccount",
    "CreditEntry",
    "GeneratedImage",
    "GenerationModel",
    "GenerationTask",
    "GroupLimits",
    "IdempotencyKey",
    "ReferencePicture",
    "Spending",
    "StylePreset",
    "StylePresetVersion",
    "UserPreference",
    "WebhookDelivery",
    "WebhookEndpoint",
    "Worker",
]
