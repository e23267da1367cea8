"""What a dialog asks while its author waits or cannot decide: small pictures by polling, and putting pictures away."""

from __future__ import annotations

from base64 import b64decode

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from cms_ai_images import progress
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Progress, ReviewState, Status

from .factories import make_image, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(author: User) -> Client:
    client = Client()
    client.force_login(author)
    return client


def url(name: str, task: GenerationTask) -> str:
    return reverse(f"cms_ai_images:{name}", args=[task.uuid])


def test_who_polls_gets_the_small_pictures_with_the_task(client: Client, author: User) -> None:
    task = make_task(author, status=Status.RUNNING, attempt=1, num_images=2)
    show = url("task-detail", task)
    assert "previews" not in client.get(show, {"previews": "1"}).json()  # before the first step there are none
    progress.publish_steps(task.pool, [(task.uuid, Progress(attempt=1, step=3, total=8), [b"one", b"two"])])
    previews = client.get(show, {"previews": "1"}).json()["previews"]
    assert [b64decode(preview) for preview in previews] == [b"one", b"two"]
    assert "previews" not in client.get(show).json()


def test_pictures_that_are_put_away_are_on_no_desk_and_in_the_history(client: Client, author: User) -> None:
    task = make_task(author, status=Status.SUCCEEDED, num_images=2)
    images = [make_image(task=task), make_image(task=task, index=1)]
    for _ in range(2):
        answer = client.post(url("task-put-away", task))
        assert answer.status_code == 200
        assert [image["state"] for image in answer.json()["images"]] == [ReviewState.DRAFT] * 2
    assert client.get(reverse("cms_ai_images:task-ready")).json()["ready"] == 0
    tasks = reverse("cms_ai_images:task-list")
    assert client.get(tasks, {"open": "1"}).json()["results"] == []
    assert [found["id"] for found in client.get(tasks).json()["results"]] == [str(task.uuid)]
    assert client.get(reverse("cms_ai_images:image-file", args=[images[0].uuid])).status_code == 200


def test_nobody_puts_another_ones_pictures_away(client: Client, other_author: User) -> None:
    image = make_image(other_author)
    assert client.post(url("task-put-away", image.task)).status_code == 404
    image.refresh_from_db()
    assert image.reviewed_at is None
