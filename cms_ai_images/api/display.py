"""What is read from the database to show tasks: one query for one of them, two for a page."""

from __future__ import annotations

from typing import Any

from django.db.models import FilteredRelation, Prefetch, QuerySet

from cms_ai_images import queue
from cms_ai_images.models import GeneratedImage, GenerationTask


def tasks_for_display() -> QuerySet[GenerationTask]:
    """Tasks with all that `task_json` reads: two queries, however many tasks there are."""
    images = GeneratedImage.objects.select_related("filer_image")
    return _with_names().prefetch_related(Prefetch("images", images))


def task_for_display(**conditions: Any) -> GenerationTask | None:
    """The same for one task in one query: clients ask for it again and again. A row for each of its pictures."""
    pictures = _with_names().annotate(picture=FilteredRelation("images"))
    pictures = pictures.select_related("picture__filer_image")  # type: ignore[misc] # it knows of fields only
    rows = list(pictures.filter(**conditions).order_by("picture__index"))
    if not rows:
        return None
    task = rows[0]
    images = [row.picture for row in rows if hasattr(row, "picture")]  # type: ignore[attr-defined]
    for image in images:
        image.task = task
    prefetched = task.images.all()
    prefetched._result_cache = images  # type: ignore[attr-defined]
    prefetched._prefetch_done = True  # type: ignore[attr-defined]
    task._prefetched_objects_cache = {"images": prefetched}  # type: ignore[attr-defined]
    return task


def _with_names() -> QuerySet[GenerationTask]:
    return queue.with_places(GenerationTask.objects.select_related("model", "preset_version__preset"))
