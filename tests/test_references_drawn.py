"""From a picture that somebody brings to one that is drawn from it, through the worker."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from PIL import Image

from cms_ai_images import services
from cms_ai_images.backends.dummy import paint
from cms_ai_images.library import references
from cms_ai_images.models import GenerationModel, GenerationTask, ReferencePicture
from cms_ai_images.models.references import REFERENCES
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import GenerationRequest, Reference, Status
from cms_ai_images.worker.claiming import claim
from cms_ai_images.worker.rq_worker import serve
from cms_ai_images.worker.runtime import Runtime

from .factories import make_picture_model

pytestmark = pytest.mark.django_db(transaction=True)

TEAL, GOLD = (0, 128, 128), (255, 215, 0)


@pytest.fixture
def model() -> GenerationModel:
    return make_picture_model(options={"max_batch": 4})


def picture_of(color: tuple[int, int, int]) -> bytes:
    """A PNG of one colour."""
    buffer = BytesIO()
    Image.new("RGB", (200, 100), color).save(buffer, "PNG")
    return buffer.getvalue()


def brought(user: Any, color: tuple[int, int, int]) -> ReferencePicture:
    """The same, kept for somebody."""
    return references.keep(user, picture_of(color))


def files_of_references() -> set[str]:
    """What lies there, also of other tests."""
    with contextlib.suppress(FileNotFoundError):  # in S3 a folder is there for nobody
        return {f"{REFERENCES}/{name}" for name in draft_storage().listdir(REFERENCES)[1]}
    return set()


def ask(user: Any, reference: ReferencePicture, **fields: Any) -> GenerationTask:
    values = {"prompt": "a fox", "operation": "image_to_image", "seed": 7, "strength": 0.5, **fields}
    start = Reference(kind="upload", value=str(reference.uuid))
    return services.request_generation(user, GenerationRequest(references=(start,), **values))


def drawn(task: GenerationTask) -> Image.Image:
    """Its first picture."""
    with draft_storage().open(task.images.get(index=0).file.name) as file:
        return Image.open(BytesIO(file.read()))


def test_pictures_of_a_batch_start_each_from_their_own(author, model):
    teal, gold = brought(author, TEAL), brought(author, GOLD)
    tasks = [ask(author, teal), ask(author, gold, seed=8)]
    serve("images", burst=True)
    for task, color in zip(tasks, (TEAL, GOLD), strict=True):
        task.refresh_from_db()
        assert (task.status, task.operation) == (Status.SUCCEEDED, "image_to_image")
        painted = paint("a fox", task.parameters["seed"], (64, 64))
        assert drawn(task).tobytes() == Image.blend(Image.new("RGB", (64, 64), color), painted, 0.5).tobytes()


def test_mask_is_the_second_picture(author, model):
    teal, black = brought(author, TEAL), brought(author, (0, 0, 0))
    start = tuple(Reference(kind="upload", value=str(each.uuid)) for each in (teal, black))
    task = services.request_generation(author, GenerationRequest(prompt="a fox", operation="inpaint", references=start))
    assert task.parameters["references"] == [teal.sha256, black.sha256]
    serve("images", burst=True)
    assert drawn(task).tobytes() == Image.new("RGB", (64, 64), TEAL).tobytes()


def test_one_whose_picture_is_gone_fails_alone(author, model):
    teal, gold = brought(author, TEAL), brought(author, GOLD)
    gone, other = ask(author, teal), ask(author, gold)
    draft_storage().delete(teal.file.name)
    serve("images", burst=True)
    gone.refresh_from_db()
    other.refresh_from_db()
    assert (gone.status, gone.error_code, gone.failures) == (Status.FAILED, "reference_gone", 1)
    assert other.status == Status.SUCCEEDED


def test_other_strengths_and_operations_are_no_company(author, model):
    teal = brought(author, TEAL)
    runtime = Runtime("images")
    first = ask(author, teal)
    ask(author, teal, strength=0.9)
    services.request_generation(author, GenerationRequest(prompt="a fox"))
    same = ask(author, teal, seed=9)
    assert {task.pk for task in claim(runtime, str(first.uuid))} == {first.pk, same.pk}


def test_repeated_task_finds_its_picture_again(author, model):
    teal = brought(author, TEAL)
    task = ask(author, teal)
    services.cancel(author, task)
    services.retry(author, task)
    serve("images", burst=True)
    task.refresh_from_db()
    assert task.status == Status.SUCCEEDED


def test_same_picture_brought_many_times_at_once_is_kept_once(author):
    data = picture_of(TEAL)
    others = files_of_references()

    def bring(_: int) -> int:
        try:
            return references.keep(author, data).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(bring, range(16)))
    assert keys == {ReferencePicture.objects.get().pk}
    assert files_of_references() - others == {ReferencePicture.objects.get().file.name}
