"""What was spent, as the admin's page sums it up: one's own, or for those who manage credits everybody's."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cms_ai_images import conf, spending
from cms_ai_images.api.base import AIImagesView
from cms_ai_images.api.documentation import documented
from cms_ai_images.api.filters import EVERYBODY
from cms_ai_images.api.queries import asked
from cms_ai_images.exceptions import NotFound, NotPermitted
from cms_ai_images.spending import DIMENSIONS, MAX_MONTHS, Period

MONTH = r"^2[0-9]{3}-(0[1-9]|1[0-2])$"
"""Of a year that dates can be reckoned from: not 0000, and not 9999, which has no year after it."""
EARLIEST = date(2000, 1, 1)


class SpendingQuerySerializer(serializers.Serializer):
    """What to sum up."""

    by = serializers.ChoiceField(list(DIMENSIONS), default="month", help_text="What each line is for.")
    user = serializers.ChoiceField([EVERYBODY], default="", allow_blank=True, help_text="Everybody's, not one's own.")

    def get_fields(self) -> dict[str, Any]:
        """`from` is a word of Python, so these two cannot be attributes."""
        first, last = (
            serializers.RegexField(MONTH, required=False, help_text=f"The {which} month, such as 2026-01.")
            for which in ("first", "last")
        )
        return {"from": first, "to": last, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """In this order, and not too many."""
        usual = Period.default()
        last = _month(attrs["to"]) if "to" in attrs else usual.last
        first = _month(attrs["from"]) if "from" in attrs else spending.months_after(last, 1 - spending.DEFAULT_MONTHS)
        if first < EARLIEST or not 1 <= len(Period(first=first, last=last).months) <= MAX_MONTHS:
            text = _("Choose at most %(most)d months, the earlier one first.") % {"most": MAX_MONTHS}
            raise serializers.ValidationError({"from": text})
        return {**attrs, "period": Period(first=first, last=last)}


class SpendingLineSerializer(serializers.Serializer):
    key = serializers.JSONField(
        help_text="Of the user or group, or the model's name, or the month; null where unknown."
    )
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    tasks = serializers.IntegerField(help_text="That cost anything.")
    points = serializers.IntegerField()


class SpendingOthersSerializer(serializers.Serializer):
    tasks = serializers.IntegerField()
    points = serializers.IntegerField()


class SpendingSerializer(serializers.Serializer):
    """Sums over whole months, the largest line first; months in their order."""

    to = serializers.CharField()
    by = serializers.ChoiceField(list(DIMENSIONS))
    tasks = serializers.IntegerField()
    points = serializers.IntegerField(help_text="Of all lines together.")
    results = SpendingLineSerializer(many=True)
    others = SpendingOthersSerializer(allow_null=True, help_text="What is not among the lines, which are 100 at most.")

    def get_fields(self) -> dict[str, Any]:
        """With the word that Python keeps for itself."""
        return {"from": serializers.CharField(), **super().get_fields()}


class SpendingView(AIImagesView):
    @documented({200: SpendingSerializer}, problems=(400, 404), parameters=[SpendingQuerySerializer])
    def get(self, request: Request) -> Response:
        """Points spent in a range of months by month, user, group, members or model. 404 where nothing costs points."""
        if not conf.get("CREDITS"):
            raise NotFound
        wanted = asked(request, SpendingQuerySerializer)
        if wanted["user"] == EVERYBODY and not request.user.has_perm("cms_ai_images.manage_credits"):
            raise NotPermitted(field="user", permission=_("Can manage credits and limits"))
        period: Period = wanted["period"]
        sums = DIMENSIONS[wanted["by"]](period, None if wanted["user"] else request.user)
        others = sums.others
        return Response(
            {
                "from": f"{period.first:%Y-%m}",
                "to": f"{period.last:%Y-%m}",
                "by": wanted["by"],
                "tasks": sums.tasks,
                "points": sums.points,
                "results": [_line_json(line) for line in sums.lines],
                "others": {"tasks": others.tasks, "points": others.points} if others else None,
            }
        )


def _line_json(line: spending.Line) -> dict[str, Any]:
    key = f"{line.key:%Y-%m}" if isinstance(line.key, date) else line.key
    return {"key": key, "label": line.label, "tasks": line.tasks, "points": line.points}


def _month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")
