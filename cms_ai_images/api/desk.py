"""What still matters to somebody who opens a dialog: tasks at work, lately failed, or with pictures to choose from."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from cms_ai_images.api.base import AIImagesView
from cms_ai_images.api.documentation import documented
from cms_ai_images.api.filters import TaskFilterSerializer, filtered
from cms_ai_images.api.queries import asked
from cms_ai_images.api.shapes import ReadySerializer
from cms_ai_images.models import GeneratedImage, GenerationTask
from cms_ai_images.types import ReviewState, Status

OPEN_FOR = timedelta(days=1)
"""How long a finished task stays on its author's desk."""
OPEN_LIMIT = 20


def still_open(tasks: QuerySet[GenerationTask]) -> QuerySet[GenerationTask]:
    """Running, waiting, lately failed, or finished with pictures of which none was taken yet; newest first, so many."""
    wanted = _active() | _recent() & Q(status=Status.FAILED) | _unreviewed()
    return tasks.filter(wanted).order_by("-id")[:OPEN_LIMIT]


class TaskReadyView(AIImagesView):
    @documented({200: ReadySerializer}, problems=[400], parameters=[TaskFilterSerializer])
    def get(self, request: Request) -> Response:
        """How many own tasks at `origin` have pictures to choose from, in all and by field, and how many are drawn."""
        wanted = asked(request, TaskFilterSerializer)
        tasks = filtered(GenerationTask.objects.filter(user=request.user.pk), request, wanted)
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
