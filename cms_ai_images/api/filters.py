"""Which tasks are asked for: everything that `GET tasks/` takes in its address."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from django.contrib.contenttypes.models import ContentType
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request

from cms_ai_images import services
from cms_ai_images.api.paging import NewestFirst
from cms_ai_images.exceptions import NotPermitted
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Operation, Status

EVERYBODY = "all"
WORDS = 10
"""Most words that a search looks for."""
EARLIEST, LATEST = date(1970, 1, 1), date(9000, 1, 1)
"""Dates that every database and time zone can hold."""


class TaskFilterSerializer(serializers.Serializer):
    """The query string. `from` and `to` are days in the site's time zone, both included."""

    q = serializers.CharField(max_length=200, allow_blank=True, default="")
    preset = serializers.SlugField(allow_blank=True, default="")
    model = serializers.SlugField(allow_blank=True, default="")
    status = serializers.ChoiceField(Status.choices, allow_blank=True, default="")
    operation = serializers.ChoiceField(Operation.choices, allow_blank=True, default="")
    user = serializers.ChoiceField([EVERYBODY], allow_blank=True, default="")
    origin = serializers.CharField(max_length=500, allow_blank=True, default="")

    def get_fields(self) -> dict[str, Any]:
        """With `from`, which Python does not take as a name."""
        days = {
            name: serializers.DateField(
                default=None, validators=[MinValueValidator(EARLIEST), MaxValueValidator(LATEST)]
            )
            for name in ("from", "to")
        }
        return {**super().get_fields(), **days}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """An empty time is a slip that no result would explain."""
        if attrs["from"] and attrs["to"] and attrs["from"] > attrs["to"]:
            raise serializers.ValidationError({"to": _("The last day is before the first one.")})
        return attrs


class PageSerializer(TaskFilterSerializer):
    """The query string of the list."""

    open = serializers.BooleanField(default=False, help_text="Only what still matters to a dialog, on one page.")
    cursor = serializers.CharField(required=False, help_text="From `next` or `previous`.")
    limit = serializers.IntegerField(
        min_value=1, max_value=NewestFirst.max_page_size, default=NewestFirst.page_size, help_text="Tasks on a page."
    )


def filtered(tasks: QuerySet[GenerationTask], request: Request, wanted: dict[str, Any]) -> QuerySet[GenerationTask]:
    """The tasks that are wanted: the caller's own, or everybody's where they may see them, else `NotPermitted`."""
    if wanted["user"] != EVERYBODY:
        tasks = tasks.filter(user=request.user.pk)
    elif not services.sees_all(request.user):
        raise NotPermitted(field="user", permission=_("Can see everybody's AI image tasks"))
    else:
        tasks = tasks.select_related("user")  # whose each is, is told
    if wanted["origin"]:
        tasks = of_origin(tasks, wanted["origin"])
    if wanted["preset"]:
        tasks = tasks.filter(preset_version__preset__slug=wanted["preset"])
    if wanted["model"]:
        tasks = tasks.filter(model__slug=wanted["model"])
    if wanted["status"]:
        tasks = tasks.filter(status=wanted["status"])
    if wanted["operation"]:
        tasks = tasks.filter(operation=wanted["operation"])
    if wanted["from"]:
        tasks = tasks.filter(created_at__gte=_moment(wanted["from"], time.min))
    if wanted["to"]:
        tasks = tasks.filter(created_at__lte=_moment(wanted["to"], time.max))
    return _with_words(tasks, wanted["q"])


def of_origin(tasks: QuerySet[GenerationTask], origin: str) -> QuerySet[GenerationTask]:
    """The tasks that were asked for at one object, given as `app.model:key`."""
    label, _colon, object_id = origin.partition(":")
    app_label, _dot, model = label.partition(".")
    try:
        content_type = ContentType.objects.get_by_natural_key(app_label, model.lower())  # kept in memory
    except ContentType.DoesNotExist:
        return tasks.none()
    return tasks.filter(origin_type=content_type, origin_id=object_id)


def _with_words(tasks: QuerySet[GenerationTask], text: str) -> QuerySet[GenerationTask]:
    """Those whose prompt holds every word; the id of a task finds that task."""
    words = Q()
    for word in text.split()[:WORDS]:
        words &= Q(request__prompt__icontains=word)
    try:
        return tasks.filter(words | Q(uuid=UUID(text.strip())))
    except ValueError:
        return tasks.filter(words)


def _moment(day: date, at: time) -> datetime:
    return timezone.make_aware(datetime.combine(day, at))
