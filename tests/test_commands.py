"""The management commands, as an operator types them."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from cms_ai_images.models import GeneratedImage, GenerationTask, Worker
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import ReviewState, Status

from .factories import make_image, make_model, make_task, make_worker

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_generate_stores_a_task_for_a_user(author):
    make_worker()
    make_model()
    result = json.loads(run("ai_images_generate", "a fox", "--count", "2", "--seed", "7", "--user", "author", "--json"))
    task = GenerationTask.objects.get()
    assert (result["id"], result["status"], result["error"]) == (str(task.uuid), "queued", None)
    assert (task.user, task.parameters["num_images"], task.auto_accept) == (author, 2, True)
    assert run("ai_images_worker", "--burst")
    task.refresh_from_db()
    assert task.status == Status.SUCCEEDED
    assert task.images.filter(review_state=ReviewState.ACCEPTED).count() == 2


def test_generate_returns_the_same_pictures_unless_told_to_draw_again(author):
    make_worker()
    make_model()
    generate = ("ai_images_generate", "a fox", "--seed", "7", "--user", "author", "--json")
    first = json.loads(run(*generate))["id"]
    assert json.loads(run(*generate))["id"] == first
    assert json.loads(run(*generate, "--again"))["id"] != first


def test_generate_says_what_is_wrong_and_fails(author):
    make_worker()
    make_model()
    out = io.StringIO()
    with pytest.raises(CommandError, match="Describe the picture"):
        call_command("ai_images_generate", " ", "--user", "author", "--json", stdout=out)
    assert json.loads(out.getvalue())["error"]["code"] == "prompt_empty"


def test_generate_tells_the_reason_of_a_failed_task(author):
    make_worker()
    model = make_model(options={"fail": "unsafe_weights"})
    out = io.StringIO()
    import threading

    from django.db import connection

    def generate() -> None:
        with pytest.raises(CommandError):
            call_command("ai_images_generate", "a fox", "--user", "author", "--wait", "--json", stdout=out)
        connection.close()

    thread = threading.Thread(target=generate)
    thread.start()
    while not GenerationTask.objects.exists():
        pass
    call_command("ai_images_worker", "--burst", stdout=io.StringIO())
    thread.join(20)
    result = json.loads(out.getvalue())
    assert (result["status"], result["error"]["code"]) == ("failed", "unsafe_weights")
    assert model.slug in result["error"]["detail"]


def test_generate_needs_a_known_user():
    out = io.StringIO()
    with pytest.raises(CommandError, match="--user"):
        call_command("ai_images_generate", "a fox", "--user", "nobody", "--json", stdout=out)
    assert json.loads(out.getvalue())["error"]["code"] == "unknown_user"


def test_reconcile_says_what_it_did(author):
    make_task(author, created_at=timezone.now() - timedelta(minutes=10))
    assert "Dispatched: 1" in run("ai_images_reconcile")
    assert "Dispatched: 0" in run("ai_images_reconcile")


def test_purge_forgets_workers_that_ended_long_ago(author):
    done = make_task(author, status=Status.SUCCEEDED, worker=make_worker())
    busy = make_task(author, status=Status.RUNNING).worker  # the reconciler has yet to end its lease
    Worker.objects.update(heartbeat_at=timezone.now() - timedelta(days=31))
    alive = make_worker()
    assert "Purged workers: 1." in run("ai_images_purge", "--days", "0")
    assert set(Worker.objects.all()) == {busy, alive}
    done.refresh_from_db()
    assert (done.status, done.worker) == (Status.SUCCEEDED, None)


def test_purge_deletes_old_drafts_and_nothing_else(author):
    old, fresh = make_image(author), make_image(author)
    GeneratedImage.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=31))
    key = old.file.name
    assert "Purged drafts: 1" in run("ai_images_purge")
    old.refresh_from_db()
    fresh.refresh_from_db()
    assert (old.review_state, fresh.review_state) == (ReviewState.PURGED, ReviewState.DRAFT)
    assert not draft_storage().exists(key)
    assert draft_storage().exists(fresh.file.name)
    assert "Purged drafts: 0" in run("ai_images_purge")
