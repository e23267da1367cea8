"""Tasks: ask for pictures, look, cancel, retry."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from rest_framework import status
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from cms_ai_images import progress, services
from cms_ai_images.api.authentication import check_scope
from cms_ai_images.api.base import AIImagesView
from cms_ai_images.api.filters import filtered
from cms_ai_images.api.serializers import GenerationRequestSerializer, task_json, tasks_for_display
from cms_ai_images.exceptions import NotFound
from cms_ai_images.models import GeneratedImage, GenerationTask
from cms_ai_images.models.tokens import Scope
from cms_ai_images.types import ReviewState, Status

OPEN_FOR = timedelta(days=1)
"""How long a finished task stays on its author's desk."""
OPEN_LIMIT = 20


def own_task(request: Request, uuid: UUID) -> GenerationTask:
    """The caller's task, or `NotFound`."""
    task = tasks_for_display().filter(uuid=uuid, user=request.user.pk).first()
    if task is None:
        raise NotFound
    return task


class NewestFirst(CursorPagination):
    """A page costs the same wherever it is in the history."""

    ordering = "-id"
    page_size = 20


class TaskListView(AIImagesView):
    def get(self, request: Request) -> Response:
        """The caller's history as `filters` narrows it, or with `open=1` what of it still matters to a dialog."""
        tasks = filtered(tasks_for_display(), request)
        if request.query_params.get("open"):
            page = list(_still_open(tasks)[:OPEN_LIMIT])
            return Response({"results": [task_json(task, viewer=request.user) for task in page]})
        paginator = NewestFirst()
        page = paginator.paginate_queryset(tasks, request, view=self) or []
        return paginator.get_paginated_response([task_json(task, viewer=request.user) for task in page])

    def post(self, request: Request) -> Response:
        """Ask for pictures: 202 with the task, which is then looked at under `Location`."""
        serializer = GenerationRequestSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = serializer.to_request()
        if asked.auto_accept:
            check_scope(request.auth, Scope.LIBRARY)
        task = services.request_generation(request.user, asked)
        data = task_json(tasks_for_display().get(pk=task.pk))
        return Response(data, status=status.HTTP_202_ACCEPTED, headers={"Location": data["url"]})


class TaskReadyView(AIImagesView):
    def get(self, request: Request) -> Response:
        """How many own tasks at `origin` have pictures to choose from, in all and by field, and how many are drawn."""
        tasks = filtered(GenerationTask.objects.filter(user=request.user.pk), request)
        counts = (
            tasks.filter(_active() | _unreviewed())
            .order_by()
            .values("origin_field")
            .annotate(ready=Count("pk", filter=Q(status=Status.SUCCEEDED)), drawing=Count("pk", filter=_active()))
        )
        fields = {row["origin_field"]: row for row in counts}
        return Response(
            {
                "ready": sum(row["ready"] for row in fields.values()),
                "drawing": sum(row["drawing"] for row in fields.values()),
                "fields": {field: row["ready"] for field, row in fields.items() if row["ready"]},
            }
        )


def _still_open(tasks: QuerySet[GenerationTask]) -> QuerySet[GenerationTask]:
    """Running, waiting, lately failed, or finished with pictures of which none was taken yet."""
    return tasks.filter(_active() | _recent() & Q(status=Status.FAILED) | _unreviewed()).order_by("-id")


def _active() -> Q:
    return Q(status__in=Status.active())


def _recent() -> Q:
    return Q(created_at__gt=timezone.now() - OPEN_FOR)


def _unreviewed() -> Q:
    """Lately drawn, with pictures to choose from, none chosen yet, and not put away either."""
    pictures = GeneratedImage.objects.filter(task=OuterRef("pk"))
    drafts = Exists(pictures.filter(review_state=ReviewState.DRAFT, reviewed_at=None))
    taken = Exists(pictures.filter(review_state=ReviewState.ACCEPTED))
    return _recent() & Q(status=Status.SUCCEEDED) & Q(drafts) & ~Q(taken)


class TaskDetailView(AIImagesView):
    def get(self, request: Request, uuid: UUID) -> Response:
        """One task; with `previews=1`, while it runs, its small pictures in Base64 as the event stream tells them."""
        task = own_task(request, uuid)
        data = task_json(task)
        if request.query_params.get("previews") and data["progress"]:
            small = progress.read_previews(task.pool, task.uuid, data["num_images"])
            data["previews"] = [b64encode(jpeg).decode() for jpeg in small]
        return Response(data)


class TaskCancelView(AIImagesView):
    def post(self, request: Request, uuid: UUID) -> Response:
        """End it: at once while it waits, within a step while it runs."""
        services.cancel(request.user, own_task(request, uuid))
        return _current(request, uuid)


class TaskRetryView(AIImagesView):
    def post(self, request: Request, uuid: UUID) -> Response:
        """Queue a failed or cancelled task again."""
        services.retry(request.user, own_task(request, uuid))
        return _current(request, uuid)


class TaskPutAwayView(AIImagesView):
    def post(self, request: Request, uuid: UUID) -> Response:
        """Decide nothing about its pictures: they stay in the history, and no dialog reminds of them."""
        services.put_away(request.user, own_task(request, uuid))
        return _current(request, uuid)


class TaskPreviewView(AIImagesView):
    def get(self, request: Request, uuid: UUID, index: int) -> HttpResponseBase:
        """A small JPEG of a picture that is being drawn; 204 before there is one."""
        task = GenerationTask.objects.filter(uuid=uuid, user=request.user.pk).only("pool", "uuid").first()
        if task is None:
            raise NotFound
        preview = progress.read_preview(task.pool, task.uuid, index)
        if preview is None:
            return HttpResponse(status=204)
        return HttpResponse(preview, content_type="image/jpeg", headers={"Cache-Control": "no-store"})


def _current(request: Request, uuid: UUID) -> Response:
    data: dict[str, Any] = task_json(own_task(request, uuid))
    return Response(data)
