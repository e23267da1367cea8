"""What the dialog asks before it offers anything: styles, models, prices, folders, and whether anybody would draw."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from filer import settings as filer_settings
from filer.models import Folder, FolderPermission

from cms_ai_images.backends import Backend
from cms_ai_images.library.folders import LISTED, default_folder
from cms_ai_images.models import CreditAccount, Worker

from .api import post, url
from .conftest import logged_in
from .factories import make_image, make_model, make_preset, make_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def model():
    make_worker()
    return make_model()


@pytest.fixture
def client(author) -> Client:
    return logged_in(author)


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
        assert Client().get(url(name)).status_code == 401
        assert logged_in(reader).get(url(name)).status_code == 403


class RemoteBackend(Backend):
    """One that sends prompts elsewhere."""

    provider = "Example Inc."

    def generate(self, requests, on_step):
        raise NotImplementedError
