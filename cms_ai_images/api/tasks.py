"""Tasks: ask for pictures, look, cancel, retry, delete."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from cms_ai_images import progress, services
from cms_ai_images.api.authentication import check_scope
from cms_ai_images.api.base import AIImagesView
from cms_ai_images.api.desk import still_open
from cms_ai_images.api.display import task_for_display, tasks_for_display
from cms_ai_images.api.documentation import answer_header, documented
from cms_ai_images.api.filters import PageSerializer, filtered
from cms_ai_images.api.paging import NewestFirst
from cms_ai_images.api.queries import asked
from cms_ai_images.api.serializers import GenerationRequestSerializer, task_json, tasks_json
from cms_ai_images.api.shapes import TaskListSerializer, TaskSerializer
from cms_ai_images.api.waiting import WaitSerializer, end_of_waiting, held
from cms_ai_images.exceptions import NotFound
from cms_ai_images.idempotency import HEADER, KEPT, LENGTH, request_once
from cms_ai_images.models import GenerationTask
from cms_ai_images.models.tokens import Scope
from cms_ai_images.types import GenerationRequest, Status

REPLAYED_HEADER = "Idempotency-Replayed"


def own_task(request: Request, uuid: UUID) -> GenerationTask:
    """The caller's task, or `NotFound`."""
    task = task_for_display(uuid=uuid, user=request.user.pk)
    if task is None:
        raise NotFound
    return task


class WatchSerializer(WaitSerializer):
    """The query string of one task."""

    previews = serializers.BooleanField(default=False, help_text="With the small pictures of a running task.")


class TaskListView(AIImagesView):
    @documented({200: TaskListSerializer}, problems=[400], parameters=[PageSerializer])
    def get(self, request: Request) -> Response:
        """The caller's history as the filters narrow it, or with `open=1` what of it still matters to a dialog."""
        wanted = asked(request, PageSerializer)
        tasks = filtered(tasks_for_display(), request, wanted)
        if wanted["open"]:
            return Response({"results": tasks_json(still_open(tasks), viewer=request.user)})
        paginator = NewestFirst(wanted["limit"])
        page = paginator.paginate_queryset(tasks, request, view=self) or []
        return paginator.get_paginated_response(tasks_json(page, viewer=request.user))

    @documented(
        {202: TaskSerializer},
        request=GenerationRequestSerializer,
        problems=[402, 404, 409, 422, 429, 503],
        parameters=[
            WaitSerializer,
            OpenApiParameter(
                HEADER,
                {"type": "string", "minLength": 1, "maxLength": LENGTH, "pattern": "^[!-~]+$"},
                OpenApiParameter.HEADER,
                description=f"The same key within {KEPT.total_seconds() / 3600:.0f} hours leads to the same task.",
            ),
            answer_header("Location", "The task's own address.", 202),
            answer_header(REPLAYED_HEADER, "`true` where an earlier request had this key.", 202),
        ],
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Ask for pictures: 202 with the task, which is then looked at under `Location`."""
        until = end_of_waiting(request, asked(request, WaitSerializer))
        serializer = GenerationRequestSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wish = serializer.to_request()
        if wish.auto_accept:
            check_scope(request.auth, Scope.LIBRARY)
        task, is_repeated = _requested(request, wish)
        data = task_json(own_task(request, task.uuid))
        headers = {"Location": data["url"], **({REPLAYED_HEADER: "true"} if is_repeated else {})}
        return _answer(request, task, data, until, status=status.HTTP_202_ACCEPTED, headers=headers)


class TaskDetailView(AIImagesView):
    @documented(
        {200: TaskSerializer},
        problems=[400],
        parameters=[WatchSerializer],
    )
    def get(self, request: Request, uuid: UUID) -> HttpResponseBase:
        """One task; with `previews=1`, while it runs, its small pictures in Base64 as the event stream tells them."""
        wanted = asked(request, WatchSerializer)
        until = end_of_waiting(request, wanted)
        task = own_task(request, uuid)
        data = task_json(task)
        if wanted["previews"] and data["progress"]:
            small = progress.read_previews(task.pool, task.uuid, data["num_images"])
            data["previews"] = [b64encode(jpeg).decode() for jpeg in small]
        return _answer(request, task, data, until)

    @documented({204: None}, problems=[409])
    def delete(self, request: Request, uuid: UUID) -> Response:
        """Take it out of the history, with its drafts; 409 while it runs. Files of the library stay."""
        services.delete(request.user, own_task(request, uuid))
        return Response(status=status.HTTP_204_NO_CONTENT)


class TaskCancelView(AIImagesView):
    @documented({200: TaskSerializer}, problems=[409])
    def post(self, request: Request, uuid: UUID) -> Response:
        """End it: at once while it waits, within a step while it runs."""
        services.cancel(request.user, own_task(request, uuid))
        return _current(request, uuid)


class TaskRetryView(AIImagesView):
    @documented({200: TaskSerializer}, problems=[400, 402, 409, 429, 503])
    def post(self, request: Request, uuid: UUID) -> Response:
        """Queue a failed or cancelled task again."""
        services.retry(request.user, own_task(request, uuid))
        return _current(request, uuid)


class TaskPutAwayView(AIImagesView):
    @documented({200: TaskSerializer}, problems=[409])
    def post(self, request: Request, uuid: UUID) -> Response:
        """Decide nothing about its pictures: they stay in the history, and no dialog reminds of them."""
        services.put_away(request.user, own_task(request, uuid))
        return _current(request, uuid)


class TaskPreviewView(AIImagesView):
    @documented({(200, "image/jpeg"): OpenApiTypes.BINARY, 204: None})
    def get(self, request: Request, uuid: UUID, index: int) -> HttpResponseBase:
        """A small JPEG of a picture that is being drawn; 204 before there is one."""
        task = GenerationTask.objects.filter(uuid=uuid, user=request.user.pk).only("pool", "uuid").first()
        if task is None:
            raise NotFound
        preview = progress.read_preview(task.pool, task.uuid, index)
        if preview is None:
            return HttpResponse(status=204)
        return HttpResponse(preview, content_type="image/jpeg", headers={"Cache-Control": "no-store"})


def _requested(request: Request, wish: GenerationRequest) -> tuple[GenerationTask, bool]:
    """A new task, or the one that this `Idempotency-Key` led to before."""
    key = request.headers.get(HEADER)
    if key is None:
        return services.request_generation(request.user, wish), False
    return request_once(request.user, key, wish)


def _answer(
    request: Request, task: GenerationTask, data: dict[str, Any], until: float | None, **kwargs: Any
) -> HttpResponseBase:
    """The task as it is, or, for somebody who waits, as it is when it has ended."""
    if until is not None and task.status not in Status.final():
        return held(request, task.pool, data, until, **kwargs)
    return Response(data, **kwargs)


def _current(request: Request, uuid: UUID) -> Response:
    data: dict[str, Any] = task_json(own_task(request, uuid))
    return Response(data)
