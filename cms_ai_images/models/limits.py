"""What the members of a group may ask for, where it differs from the setting `LIMITS`."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from cms_ai_images.types import Operation

MAX_POINTS = 1_000_000_000
"""Most points for a month: beyond it somebody has mistyped, and sums of it still fit into their column."""
MAX_LIMIT = 2_000_000_000
"""Largest limit that fits into its column."""
MAX_TASK_SECONDS = 24 * 3600


def _limit(label: Any, help_text: Any = "", *, lowest: int = 0, highest: int = MAX_LIMIT) -> Any:
    """A number that may be missing: then the group has no opinion."""
    within = [MinValueValidator(lowest), MaxValueValidator(highest)]
    return models.PositiveIntegerField(label, null=True, blank=True, help_text=help_text, validators=within)


class GroupLimits(models.Model):
    """The limits of one group's members. An empty field leaves things as they are elsewhere; 0 means: no limit.

    Somebody in several groups has the most generous of their limits.
    """

    group = models.OneToOneField("auth.Group", verbose_name=_("group"), on_delete=models.CASCADE, related_name="+")
    requests_per_minute = _limit(_("requests per minute"))
    active_tasks = _limit(_("tasks at a time"), _("Tasks of one person that wait or are being drawn."))
    images_per_request = _limit(_("pictures per request"), _("A model may allow fewer."))
    pixels = _limit(_("pixels"), _("Width × height of a picture: 1048576 is 1024 × 1024."))
    steps = _limit(_("steps"))
    prompt_length = _limit(_("prompt length"), _("In characters."))
    queue_length = _limit(
        _("queue length"), _("So many tasks may wait, whoever asked for them, before members are asked to come later.")
    )
    task_seconds = _limit(
        _("time per task"),
        _("In seconds. Here 0 is not possible: every task must end."),
        lowest=1,
        highest=MAX_TASK_SECONDS,
    )
    storage_mib = _limit(
        _("storage"), _("MiB of one person's drafts and reference pictures. The library does not count.")
    )
    operations = models.JSONField(
        _("operations"),
        default=list,
        blank=True,
        help_text=_('What members may ask for, for example ["text_to_image"]. Empty: as elsewhere.'),
    )
    monthly_points = _limit(
        _("points per month"),
        _("Up to so many points each member's account is filled at its first use in a month; here 0 means: none."),
        highest=MAX_POINTS,
    )

    class Meta:
        ordering = ["group__name"]
        verbose_name = _("limits of a group")
        verbose_name_plural = _("limits of groups")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(task_seconds__isnull=True) | models.Q(task_seconds__gte=1),
                name="ai_images_limits_task_ends",
            )
        ]

    def __str__(self) -> str:
        return str(self.group)

    def clean(self) -> None:
        """Known operations only: a slip of the pen would forbid everything."""
        self.operations = self.operations or []
        known = Operation.values
        if not isinstance(self.operations, list) or not {str(name) for name in self.operations} <= set(known):
            message = _("Give a JSON list of operations. Known ones: %(known)s.") % {"known": ", ".join(known)}
            raise ValidationError({"operations": message})
