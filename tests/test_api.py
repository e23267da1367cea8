"""The REST API, as the dialog and other programs use it: tasks, whose they are, and what is said when it goes wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from io import BytesIO

import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image

from cms_ai_images import progress
from cms_ai_images.models import GeneratedImage, GenerationTask, Worker
from cms_ai_images.types import ReviewState, Status
from cms_ai_images.worker.rq_worker import serve

from .api import post, url
from .conftest import logged_in
from .factories import make_image, make_model, make_preset, make_task, make_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def model():
    make_worker()
    return make_model()


@pytest.fixture
def client(author) -> Client:
    return logged_in(author)


@pytest.fixture
def other_client(other_author) -> Client:
    return logged_in(other_author)


@pytest.mark.local_files
def test_the_path_from_a_request_to_a_library_picture(client, author, model):
    preset = make_preset()
    response = post(client, url("task-list"), {"prompt": "a fox", "preset": preset.slug, "num_images": 2, "seed": 5})
    assert response.status_code == 202
    task = response.json()
    assert response["Location"] == task["url"] == url("task-detail", task["id"])
    assert (task["status"], task["position"], task["num_images"]) == ("queued", 1, 2)
    assert task["preset"] == {"slug": preset.slug, "name": preset.name}

    serve("images", burst=True)
    task = client.get(task["url"]).json()
    assert task["status"] == "succeeded"
    assert [image["seed"] for image in task["images"]] == [5, 6]
    image = task["images"][0]
    for key in ("file_url", "preview_url"):
        picture = client.get(image[key])
        assert picture.status_code == 200
        assert picture["Cache-Control"].startswith("private")
        assert picture["X-Content-Type-Options"] == "nosniff"
        assert Image.open(BytesIO(picture.content)).size == (64, 64)

    details = {"alt_text": "A fox", "name": "Fox", "caption": "By day", "credit": "The paper"}
    response = post(client, url("image-accept", image["id"]), details)
    assert response.status_code == 200
    library = response.json()["library"]
    filer_image = GeneratedImage.objects.get(uuid=image["id"]).filer_image
    assert library["data_cms_src"] == f"filer.image:{filer_image.pk}"
    assert (library["alt_text"], library["name"], library["caption"]) == ("A fox", "Fox", "By day")
    assert filer_image.owner == author
    assert client.get(library["url"]).status_code == 200
    assert post(client, url("image-accept", image["id"]), details).json()["library"] == library
    assert client.get(url("image-file", image["id"])).status_code == 302


class TestProblems:
    """Every error has one shape, a stable code and the field that is at fault."""

    @pytest.mark.parametrize(
        ("data", "status", "code", "field"),
        [
            ({"prompt": ""}, 400, "prompt_empty", "prompt"),
            ({"prompt": "x" * 2001}, 400, "prompt_too_long", "prompt"),
            ({"prompt": "x", "width": 100, "height": 100}, 400, "size_not_supported", "size"),
            ({"prompt": "x", "preset": "draft"}, 400, "preset_not_available", "preset"),
            ({"prompt": "x", "model": "none"}, 400, "model_not_available", "model"),
            ({"prompt": "x", "num_images": 99}, 400, "parameter_out_of_range", "num_images"),
            ({"prompt": "x", "seed": -1}, 400, "parameter_out_of_range", "seed"),
            ({"prompt": "x", "priority": "high"}, 403, "not_permitted", "priority"),
            ({"prompt": "x", "origin": {"label": "articles.article", "object_id": "99999"}}, 404, "origin_not_found",
             "origin"),
            ({}, 400, "required", "prompt"),
            ({"prompt": "x", "steps": "many"}, 400, "invalid", "steps"),
            ({"prompt": "x", "seed": 10**30}, 400, "parameter_out_of_range", "seed"),
            ({"prompt": "x", "num_image": 4}, 400, "unknown_parameter", "num_image"),
            ({"prompt": "x", "origin": {"label": "articles.article", "objectid": "1"}}, 400, "unknown_parameter",
             "origin.objectid"),
            ({"prompt": "x", "references": [{"file": "1"}]}, 400, "unknown_parameter", "references.0.file"),
        ],
    )  # fmt: skip
    def test_a_bad_request(self, client, model, data, status, code, field):
        make_preset("draft", published=False)
        response = post(client, url("task-list"), data)
        assert response.status_code == status
        assert response["Content-Type"] == "application/problem+json"
        problem = response.json()
        assert (problem["status"], problem["code"]) == (status, code)
        assert problem["errors"][0]["field"] == field
        assert problem["errors"][0]["code"] == code
        assert problem["detail"]
        assert not GenerationTask.objects.exists()

    def test_a_misspelt_detail_is_not_lost(self, client, author):
        image = make_image(author)
        response = post(client, url("image-accept", image.uuid), {"alt": "A fox"})
        assert (response.status_code, response.json()["code"]) == (400, "unknown_parameter")
        assert "alt_text" in response.json()["detail"]
        image.refresh_from_db()
        assert image.review_state == "draft"

    @pytest.mark.parametrize(
        ("method", "name", "data", "field"),
        [
            ("POST", "task-list", {"prompt": "x", "operation": "\ud800"}, "operation"),
            ("POST", "task-list", {"prompt": "x", "\ud800": 1}, "?"),
            ("PATCH", "preferences", {"\ud800": 1}, "?"),
            ("PATCH", "preferences", {"last": {"\ud800": 1}}, "last.?"),
        ],
    )
    def test_half_a_character_can_be_answered(self, client, model, method, name, data, field):
        """What was sent is repeated in the answer, which is UTF-8."""
        response = client.generic(method, url(name), json.dumps(data), content_type="application/json")
        assert (response.status_code, response.json()["errors"][0]["field"]) == (400, field)

    def test_is_translated(self, client, model):
        response = post(client, url("task-list"), {"prompt": "x", "steps": "many"}, **{"Accept-Language": "de"})
        assert "zahl" in response.json()["detail"]

    def test_broken_json(self, client, model):
        response = client.post(url("task-list"), "{", content_type="application/json")
        assert (response.status_code, response.json()["code"]) == (400, "parse_error")

    def test_no_login(self, model):
        response = Client().get(url("task-list"))
        assert (response.status_code, response.json()["code"]) == (401, "token_missing")

    def test_no_permission(self, reader, model):
        response = post(logged_in(reader), url("task-list"), {"prompt": "x"})
        assert (response.status_code, response.json()["code"]) == (403, "not_permitted")

    def test_no_csrf_token(self, author, model):
        client = Client(enforce_csrf_checks=True)
        client.force_login(author)
        assert post(client, url("task-list"), {"prompt": "x"}).status_code == 403
        assert not GenerationTask.objects.exists()

    def test_no_worker(self, client, model):
        Worker.objects.all().delete()
        response = post(client, url("task-list"), {"prompt": "x"})
        assert (response.status_code, response.json()["code"]) == (503, "no_worker")
        assert response["Retry-After"]

    def test_no_model(self, client):
        make_worker()
        response = post(client, url("task-list"), {"prompt": "x"})
        assert (response.status_code, response.json()["code"]) == (503, "no_model_configured")


class TestOwnership:
    def test_what_belongs_to_others_is_not_there(self, other_client, author, model):
        image = make_image(author)
        uuid = image.task.uuid
        gets = [url("task-detail", uuid), url("image-file", image.uuid), url("image-preview", image.uuid)]
        gets.append(url("task-preview", uuid, 0))
        posts = [url("task-cancel", uuid), url("task-retry", uuid)]
        posts += [url("image-accept", image.uuid), url("image-discard", image.uuid)]
        for path in gets:
            assert other_client.get(path).status_code == 404, path
        for path in posts:
            assert post(other_client, path).status_code == 404, path
        assert other_client.get(url("task-list")).json()["results"] == []
        image.refresh_from_db()
        assert image.review_state == ReviewState.DRAFT


class TestLists:
    def test_history_is_paged_newest_first(self, client, author):
        tasks = [make_task(author) for _ in range(25)]
        first = client.get(url("task-list")).json()
        second = client.get(first["next"]).json()
        listed = [task["id"] for task in first["results"] + second["results"]]
        assert listed == [str(task.uuid) for task in reversed(tasks)]
        assert second["next"] is None

    def test_open_holds_what_still_matters_to_a_dialog(self, client, author):
        recent = timezone.now()
        old = recent - timedelta(days=3)
        waiting = make_task(author, created_at=old)
        failed = make_task(author, status=Status.FAILED)
        make_task(author, status=Status.FAILED, created_at=old)
        make_task(author, status=Status.CANCELLED)
        unreviewed = make_image(author).task
        reviewed = make_image(author)
        GeneratedImage.objects.filter(pk=reviewed.pk).update(review_state=ReviewState.DISCARDED)
        listed = {task["id"] for task in client.get(url("task-list"), {"open": 1}).json()["results"]}
        assert listed == {str(task.uuid) for task in (waiting, failed, unreviewed)}

    def test_lists_can_be_narrowed_to_an_origin(self, admin, model):
        client = logged_in(admin)
        origin = {"label": "auth.user", "object_id": str(admin.pk), "field": "notes"}
        here = post(client, url("task-list"), {"prompt": "x", "origin": origin}).json()
        post(client, url("task-list"), {"prompt": "y"})
        assert here["origin"] == origin
        listed = client.get(url("task-list"), {"open": 1, "origin": f"auth.user:{admin.pk}"}).json()["results"]
        assert [task["id"] for task in listed] == [here["id"]]

    def test_queries_do_not_grow_with_the_table(self, client, author, django_assert_max_num_queries):
        for _ in range(20):
            make_image(author)
        with django_assert_max_num_queries(8):
            client.get(url("task-list"))
        with django_assert_max_num_queries(7):  # four of them tell who asks and what they may
            client.get(url("task-detail", GenerationTask.objects.first().uuid))


def test_the_reason_of_a_failure_is_told_in_the_readers_language(client, author):
    params = {"parameter": "steps", "low": 1, "high": 50}
    task = make_task(author, status=Status.FAILED, error_code="parameter_out_of_range", error_params=params)
    error = client.get(url("task-detail", task.uuid)).json()["error"]
    assert error == {"code": "parameter_out_of_range", "detail": "steps must be between 1 and 50.", "retryable": False}
    GenerationTask.objects.update(error_code="of_another_version", error_message="The worker's words")
    assert client.get(url("task-detail", task.uuid)).json()["error"]["detail"] == "The worker's words"


def test_authors_are_not_told_where_the_servers_files_are(client, author):
    params = {"model": "slug", "detail": "no folder /srv/models/secret"}
    make_task(author, status=Status.FAILED, error_code="model_files_missing", error_params=params, error_message="x")
    error = client.get(url("task-detail", GenerationTask.objects.get().uuid)).json()["error"]
    assert "“Dummy”" in error["detail"]
    assert "secret" not in error["detail"]
    assert error["retryable"] is False


def test_a_waiting_task_has_a_place_and_a_time(client, author, model):
    tasks = [make_task(author) for _ in range(3)]
    assert client.get(url("task-detail", tasks[2].uuid)).json()["eta_seconds"] is None
    progress.note_pace("images", model.pk, 10.0)
    detail = client.get(url("task-detail", tasks[2].uuid)).json()
    assert (detail["position"], detail["eta_seconds"]) == (3, 30)
    progress.note_pace("images", model.pk, 20.0)
    assert client.get(url("task-detail", tasks[0].uuid)).json()["eta_seconds"] == 13


def test_a_time_is_that_of_the_model_after_those_of_others_shared_by_the_workers(client, author, model):
    make_worker()
    slow = make_model("slow")
    progress.note_pace("images", model.pk, 2.0)
    progress.note_pace("images", slow.pk, 32.0)  # the pool's: 2 + 0.3 * 30 = 11
    tasks = [make_task(author, each) for each in (slow, model, slow, make_model("new"))]
    etas = [client.get(url("task-detail", task.uuid)).json()["eta_seconds"] for task in tasks]
    assert etas == [32, round(11 / 2 + 2), round(2 * 11 / 2 + 32), round(3 * 11 / 2 + 11)]


def test_redis_away_is_no_error_for_readers(client, author, model, valkey_server):
    from .test_lifecycle import claim

    task = make_task(author)
    claim(task)
    valkey_server.stop()
    try:
        response = client.get(url("task-detail", task.uuid))
        assert (response.status_code, response.json()["progress"]) == (200, None)
        assert post(client, url("task-list"), {"prompt": "x"}).status_code == 202
    finally:
        valkey_server.start()


def test_events_are_left_to_polling_under_wsgi(client, author):
    assert client.get(url("task-events", make_task(author).uuid)).status_code == 204
