"""The REST API, as the dialog and other programs use it."""

from __future__ import annotations

import json
from datetime import timedelta
from io import BytesIO

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from filer import settings as filer_settings
from filer.models import Folder, FolderPermission
from PIL import Image

from cms_ai_images import progress
from cms_ai_images.backends import Backend
from cms_ai_images.library.folders import LISTED, default_folder
from cms_ai_images.models import CreditAccount, GeneratedImage, GenerationTask, Worker
from cms_ai_images.types import ReviewState, Status
from cms_ai_images.worker.rq_worker import serve

from .factories import make_image, make_model, make_preset, make_task, make_worker

pytestmark = pytest.mark.django_db(transaction=True)


def url(name: str, *args) -> str:
    return reverse(f"cms_ai_images:{name}", args=args)


def post(client: Client, path: str, data: object = None, **headers):
    return client.post(path, json.dumps(data or {}), content_type="application/json", headers=headers)


@pytest.fixture
def model():
    make_worker()
    return make_model()


@pytest.fixture
def client(author) -> Client:
    client = Client()
    client.force_login(author)
    return client


@pytest.fixture
def other_client(other_author) -> Client:
    client = Client()
    client.force_login(other_author)
    return client


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


def test_a_discarded_picture_is_gone(client, author):
    image = make_image(author)
    assert post(client, url("image-discard", image.uuid)).json()["state"] == "discarded"
    response = client.get(url("image-file", image.uuid))
    assert (response.status_code, response.json()["code"]) == (410, "draft_gone")


def test_what_is_in_the_library_is_not_discarded_here(client, author):
    image = make_image(author)
    assert post(client, url("image-accept", image.uuid)).status_code == 200
    response = post(client, url("image-discard", image.uuid))
    assert (response.status_code, response.json()["code"]) == (409, "already_accepted")
    assert "media library" in response.json()["detail"]
    image.refresh_from_db()
    assert image.review_state == "accepted"


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
        client = Client()
        client.force_login(reader)
        response = post(client, url("task-list"), {"prompt": "x"})
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
        client = Client()
        client.force_login(admin)
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


class TestOptions:
    def test_presets_show_what_authors_need_and_no_more(self, client):
        make_preset("pencil", version={"prompt_template": "secret {prompt}", "parameters": {"steps": 9}})
        make_preset("draft", published=False)
        (preset,) = client.get(url("preset-list")).json()["results"]
        assert (preset["slug"], preset["parameters"], preset["locked"]) == ("pencil", {"steps": 9}, [])
        assert "secret" not in json.dumps(preset)

    def test_models_say_whether_they_would_draw(self, client, model):
        make_model("elsewhere", pool="other")
        first, second = client.get(url("model-list")).json()["results"]
        assert (first["slug"], first["available"], first["is_default"]) == ("dummy", True, True)
        assert (second["available"], second["is_default"]) == (False, False)
        assert first["sizes"] == [[64, 64], [96, 64]]
        assert first["default_parameters"]["steps"] == 2

    def test_health(self, client, model, valkey_server):
        assert client.get(url("health")).json()["status"] == "ok"
        valkey_server.stop()
        try:
            assert client.get(url("health")).json()["status"] == "queue_unreachable"
        finally:
            valkey_server.start()
        Worker.objects.all().delete()
        assert client.get(url("health")).json()["status"] == "no_worker"

    def test_the_health_of_a_models_own_workers(self, client, model):
        make_model(slug="large", pool="large")
        make_model(slug="off", pool="large", enabled=False)
        slugs = ("large", "off", "none")
        states = [client.get(url("health"), {"model": slug}).json()["status"] for slug in slugs]
        assert states == ["no_worker", "ok", "ok"]  # not usable: the default model would draw
        assert client.get(url("health"), {"model": "\0"}).status_code == 400


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
    progress.note_pace("images", 10.0)
    detail = client.get(url("task-detail", tasks[2].uuid)).json()
    assert (detail["position"], detail["eta_seconds"]) == (3, 30)
    progress.note_pace("images", 20.0)
    assert client.get(url("task-detail", tasks[0].uuid)).json()["eta_seconds"] == 13


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


class TestChoices:
    """What the dialog asks for before it can offer anything."""

    def test_what_a_picture_costs_is_said_where_points_count(self, client, author, settings):
        make_model(prices={"text_to_image": {"standard": 30}})
        assert client.get(url("model-list")).json()["results"][0]["prices"] == {}
        off = client.get(url("credits")).json()
        assert off == {"enabled": False, "balance": None, "low": False, "own": None, "groups": []}
        settings.CMS_AI_IMAGES = {"CREDITS": True}
        assert client.get(url("model-list")).json()["results"][0]["prices"] == {"text_to_image": 30}
        assert client.get(url("credits")).json()["balance"] == 0
        CreditAccount.objects.create(user=author, balance=850)
        assert client.get(url("credits")).json()["own"] == {"balance": 850, "monthly": 0}

    def test_who_is_sent_the_prompt(self, client, settings):
        settings.CMS_AI_IMAGES = {
            "BACKENDS": {"remote": f"{__name__}.RemoteBackend", "missing": "not.installed.on.the.web.side"}
        }
        for position, backend in enumerate(("dummy", "diffusers", "remote", "missing")):
            make_model(backend, backend=backend, position=position)
        models = client.get(url("model-list")).json()["results"]
        assert [model["provider"] for model in models] == [None, None, "Example Inc.", "missing"]

    def test_limits_and_formats(self, client):
        make_model(parameter_limits={"steps": [1, 8]}, default_parameters={"output_format": "webp"})
        (model,) = client.get(url("model-list")).json()["results"]
        assert model["output_formats"] == ["png", "webp", "jpeg"]
        assert model["parameter_limits"] == {"steps": [1, 8], "guidance_scale": [0, 30], "strength": [0, 1]}
        assert model["default_parameters"] == {
            "steps": 20,
            "guidance_scale": 5.0,
            "output_format": "webp",
            "strength": 0.6,
        }

    def test_folders_are_told_by_their_paths(self, client, django_assert_max_num_queries):
        press = Folder.objects.create(name="Press")
        autumn = Folder.objects.create(name="Autumn", parent=Folder.objects.create(name="2026", parent=press))
        for number in range(20):
            Folder.objects.create(name=f"Number {number}", parent=autumn)
        with django_assert_max_num_queries(11):  # five of them tell who asks and what they may, one a level
            answer = client.get(url("folder-list")).json()
        paths = {folder["path"]: folder["id"] for folder in answer["results"]}
        assert paths["Press / 2026 / Autumn"] == autumn.pk
        assert "Press / 2026 / Autumn / Number 19" in paths
        assert list(paths) == sorted(paths, key=str.casefold)
        assert answer["default"] == {"id": None, "path": "AI images"}
        default = default_folder()
        assert client.get(url("folder-list")).json()["default"] == {"id": default.pk, "path": "AI images"}

    def test_folders_are_those_that_filer_lets_the_caller_add_to(self, client, author, monkeypatch):
        monkeypatch.setattr(filer_settings, "FILER_ENABLE_PERMISSIONS", True)
        own = Folder.objects.create(name="Own", owner=author)
        allowed, denied = Folder.objects.create(name="Allowed"), Folder.objects.create(name="Denied")
        for folder, answer in ((allowed, FolderPermission.ALLOW), (denied, FolderPermission.DENY)):
            FolderPermission.objects.create(
                folder=folder, type=FolderPermission.THIS, user=author, can_add_children=answer
            )
        listed = [folder["id"] for folder in client.get(url("folder-list")).json()["results"]]
        assert listed == [allowed.pk, own.pk]
        refused = post(client, url("image-accept", make_image(author).uuid), {"folder_id": denied.pk})
        assert (refused.status_code, refused.json()["code"]) == (400, "folder_not_found")
        assert post(client, url("image-accept", make_image(author).uuid), {"folder_id": own.pk}).status_code == 200

    def test_only_so_many_folders_are_told(self, client):
        Folder.objects.bulk_create([Folder(name=f"Folder {number:03}") for number in range(LISTED + 5)])
        assert len(client.get(url("folder-list")).json()["results"]) == LISTED

    @pytest.mark.parametrize("name", ["credits", "folder-list", "model-list", "preset-list", "health"])
    def test_takes_the_permission(self, reader, name):
        client = Client()
        assert client.get(url(name)).status_code == 401
        client.force_login(reader)
        assert client.get(url(name)).status_code == 403


class TestAccepting:
    def test_everything_that_can_be_said(self, client, author):
        image = make_image(author)
        folder = Folder.objects.create(name="Autumn")
        details = {
            "name": "Fox",
            "alt_text": "A fox",
            "caption": "<b>By day</b>",
            "credit": "The paper",
            "folder_id": folder.pk,
            "focal_point": [0.5, 1],
        }
        library = post(client, url("image-accept", image.uuid), details).json()["library"]
        assert (library["alt_text"], library["caption"], library["credit"]) == ("A fox", "<b>By day</b>", "The paper")
        assert library["focal_point"] == [32 / 63, 1]
        filer_image = GeneratedImage.objects.get(pk=image.pk).filer_image
        assert (filer_image.folder, filer_image.subject_location) == (folder, "32,63")

    def test_what_is_proposed_is_told_with_the_task(self, client, author):
        task = make_task(author, prompt="a fox\n\n " + "x" * 300, output_format="webp")
        data = client.get(url("task-detail", task.uuid)).json()
        assert data["proposed"]["name"] == "a fox " + "x" * 73 + "…"
        assert len(data["proposed"]["alt_text"]) == 255
        assert (data["output_format"], data["user"]) == ("webp", None)

    def test_again_with_other_words_changes_the_same_file(self, client, author):
        image = make_image(author)
        first = post(client, url("image-accept", image.uuid), {"alt_text": "A fox"}).json()["library"]
        second = post(client, url("image-accept", image.uuid), {"decorative": True, "caption": "By day"}).json()
        assert second["library"] == {**first, "alt_text": "", "caption": "By day"}

    @pytest.mark.parametrize(
        ("details", "field"),
        [
            ({"focal_point": [0.5]}, "focal_point"),
            ({"focal_point": [0.5, 1.1]}, "focal_point.1"),
            ({"focal_point": [-0.1, 0]}, "focal_point.0"),
            ({"focal_point": ["nan", 0]}, "focal_point.0"),
            ({"focal_point": "middle"}, "focal_point"),
            ({"folder_id": 2**63}, "folder_id"),
            ({"folder_id": 999_999}, "folder_id"),
            ({"alt_text": "x" * 256}, "alt_text"),
            ({"caption": "half a pair \ud83e"}, "caption"),
            ({"decorative": "perhaps"}, "decorative"),
        ],
    )
    def test_a_wrong_detail_is_refused_and_the_draft_kept(self, client, author, details, field):
        image = make_image(author)
        refused = post(client, url("image-accept", image.uuid), details)
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["field"] == field
        assert client.get(url("image-file", image.uuid)).status_code == 200


class TestDownload:
    @pytest.mark.parametrize(
        ("prompt", "name"),
        [
            ("A red fox, in a library!", 'filename="a-red-fox-in-a-library-1.png"'),
            ("红苹果", "filename*=utf-8''%E7%BA%A2%E8%8B%B9%E6%9E%9C-1.png"),
            ('"; filename="evil.html', 'filename="filenameevilhtml-1.png"'),
            ("🦊", 'filename="ai-image-1.png"'),
        ],
    )
    def test_has_a_name_that_says_what_it_is(self, client, author, prompt, name):
        image = make_image(task=make_task(author, status=Status.SUCCEEDED, prompt=prompt))
        data = client.get(url("task-detail", image.task.uuid)).json()["images"][0]
        answer = client.get(data["download_url"])
        assert answer["Content-Disposition"] == f"attachment; {name}"
        assert answer["Content-Type"] == "image/png"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert Image.open(BytesIO(answer.content)).size == (64, 64)

    def test_works_for_what_is_in_the_library(self, client, author):
        image = make_image(author)
        draft = client.get(url("image-download", image.uuid)).content
        accepted = post(client, url("image-accept", image.uuid)).json()
        assert client.get(accepted["download_url"]).content == draft
        filer_image = GeneratedImage.objects.get(pk=image.pk).filer_image
        filer_image.file.storage.delete(filer_image.file.name)
        assert client.get(accepted["download_url"]).json()["code"] == "draft_gone"

    def test_is_the_authors_alone(self, client, other_client, author):
        image = make_image(author)
        assert other_client.get(url("image-download", image.uuid)).status_code == 404
        post(client, url("image-accept", image.uuid))
        assert other_client.get(url("image-download", image.uuid)).status_code == 404

    def test_a_discarded_picture_has_none(self, client, author):
        image = make_image(author)
        assert post(client, url("image-discard", image.uuid)).json()["download_url"] is None
        assert client.get(url("image-download", image.uuid)).json()["code"] == "draft_gone"


class RemoteBackend(Backend):
    """One that sends prompts elsewhere."""

    provider = "Example Inc."

    def generate(self, requests, on_step):
        raise NotImplementedError
