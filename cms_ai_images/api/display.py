"""What is read from the database to show tasks: one query for one of them, two for a page."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import F, Model, Prefetch, QuerySet
from filer.settings import FILER_IMAGE_MODEL

from cms_ai_images import queue
from cms_ai_images.models import GeneratedImage, GenerationTask

IMAGE, FILE = "image_", "file_"
"""What the columns of pictures and of their library files are called in the one query."""


def tasks_for_display() -> QuerySet[GenerationTask]:
    """Tasks with all that `task_json` reads: two queries, however many tasks there are."""
    images = GeneratedImage.objects.select_related("filer_image")
    return _with_names().prefetch_related(Prefetch("images", images))


def task_for_display(**conditions: Any) -> GenerationTask | None:
    """The same for one task in one query: clients ask for it again and again. A row for each of its pictures."""
    rows = list(_with_names().filter(**conditions).annotate(**_columns()).order_by(f"{IMAGE}index"))
    if not rows:
        return None
    task = rows[0]
    images = [_image(row, task) for row in rows if getattr(row, f"{IMAGE}id") is not None]
    prefetched = task.images.all()
    prefetched._result_cache = images  # type: ignore[attr-defined]
    prefetched._prefetch_done = True  # type: ignore[attr-defined]
    task._prefetched_objects_cache = {"images": prefetched}  # type: ignore[attr-defined]
    return task


def _with_names() -> QuerySet[GenerationTask]:
    tasks = GenerationTask.objects.select_related("model", "preset_version__preset", "origin_type", "user")
    return queue.with_places(tasks)


def _columns() -> dict[str, F]:
    """Every column of a task's pictures, and of the library files that they became."""
    images = {f"{IMAGE}{field.attname}": F(f"images__{field.name}") for field in _fields(GeneratedImage)}
    files = {f"{FILE}{field.attname}": F(f"images__filer_image__{field.name}") for field in _fields(_file_model())}
    return {**images, **files}


def _image(row: GenerationTask, task: GenerationTask) -> GeneratedImage:
    image = _made(GeneratedImage, row, IMAGE)
    image.task = task
    if image.filer_image_id is not None:
        image.filer_image = _made(_file_model(), row, FILE)
    return image


def _made(model: type[Model], row: GenerationTask, prefix: str) -> Any:
    names = [field.attname for field in _fields(model)]
    return model.from_db(row._state.db, names, [getattr(row, prefix + name) for name in names])


def _fields(model: type[Model]) -> Any:
    return model._meta.concrete_fields


def _file_model() -> type[Model]:
    return apps.get_model(FILER_IMAGE_MODEL)
