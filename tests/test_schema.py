"""The OpenAPI schema says what the API answers, and a short run of schemathesis tries to prove otherwise."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jsonschema
import pytest
import schemathesis
from django.conf import settings
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import Client, override_settings
from django.utils import timezone
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import cms_ai_images
from cms_ai_images import preferences, services
from cms_ai_images.api import urls
from cms_ai_images.api.problems import FRAMEWORK_CODES
from cms_ai_images.api.schema import FILE, schema
from cms_ai_images.exceptions import known
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import PictureDetails, Status
from project import openapi

from .api import url
from .factories import make_image, make_model, make_preset, make_task, make_worker
from .test_tokens import bearer


def every_code_is_told(context: Any, response: Any, case: Any) -> None:
    """Those that no reading of the code finds, too."""
    if response.status_code >= 400:
        problem = response.json()
        told = {error.code for error in known()} | set(FRAMEWORK_CODES)
        assert {problem["code"], *(error["code"] for error in problem["errors"])} <= told


EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "3"))
"""Random requests for each operation, beside those at the edges of each parameter; more of them find rarer things."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    every_code_is_told,
]
PAGES = {"schema", "docs", "problems"}


class TestSchema:
    def test_is_valid_openapi(self) -> None:
        assert schema()["openapi"] == "3.1.0"
        validate_schema(schema())

    def test_every_address_is_in_it(self) -> None:
        expected = {
            "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
            for pattern in urls.urlpatterns
            if pattern.name not in {*PAGES, None}
        }
        assert set(schema()["paths"]) == expected

    def test_every_operation_has_a_name_a_description_and_its_errors(self) -> None:
        names = []
        for path, operations in schema()["paths"].items():
            for method, operation in operations.items():
                names.append(operation["operationId"])
                assert operation["description"].strip(), f"{method} {path}"
                assert {"401", "403"} <= set(operation["responses"]), f"{method} {path}"
                assert operation["security"] == [{"token": []}, {"cookieAuth": []}]
                for status, response in operation["responses"].items():
                    if int(status) >= 400:
                        assert list(response["content"]) == ["application/problem+json"]
        assert len(names) == len(set(names)) > 20

    def test_is_what_the_code_says(self) -> None:
        kept, made = json.loads(FILE.read_text()), openapi.made()
        assert kept == made, "The API has changed. Run `make schema`."

    def test_leaves_the_sites_own_settings_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are one for the whole process, in which others may make schemas of their own at this moment."""
        changes: list[Any] = []
        monkeypatch.setattr(type(spectacular_settings), "apply_patches", lambda self, patches: changes.append(patches))
        monkeypatch.setattr(spectacular_settings, "TITLE", "The site's own API")
        schema.cache_clear()
        assert (schema()["info"]["title"], changes) == ("AI images", [])

    def test_tells_the_version_and_the_address(self) -> None:
        assert schema()["info"]["version"] == cms_ai_images.__version__
        assert schema()["servers"] == [{"url": "/ai-images/api/v1"}]

    def test_tells_the_headers_of_answers(self) -> None:
        asked = schema()["paths"]["/tasks/"]["post"]["responses"]
        assert set(asked["202"]["headers"]) == {"Location", "Idempotency-Replayed"}
        for path, operations in schema()["paths"].items():
            for method, operation in operations.items():
                for status in {"429", "503"} & set(operation["responses"]):
                    assert "Retry-After" in operation["responses"][status]["headers"], f"{method} {path}"
                assert "WWW-Authenticate" in operation["responses"]["401"]["headers"], f"{method} {path}"

    def test_is_served_to_everybody_and_kept(self, db: None) -> None:
        response = Client().get(url("schema"))
        assert response.json() == schema()
        assert response.json()["servers"] == [{"url": "/ai-images/api/v1"}]
        again = Client().get(url("schema"), headers={"If-None-Match": response["ETag"]})
        assert again.status_code == 304

    @pytest.mark.parametrize("name", sorted(PAGES))
    def test_whoever_writes_there_is_told_so(self, db: None, name: str) -> None:
        response = Client(enforce_csrf_checks=True).post(url(name))
        assert (response.status_code, response.json()["code"], response["Allow"]) == (
            405, "method_not_allowed", "GET, HEAD",
        )  # fmt: skip
        assert response["Content-Type"] == "application/problem+json"
        assert Client().head(url(name)).status_code == 200


class TestPage:
    def test_has_nothing_inline_and_nothing_from_elsewhere(self, db: None) -> None:
        response = Client().get(url("docs"))
        page = response.content.decode()
        assert "swagger-ui-bundle.js" in page and f'data-schema="{url("schema")}"' in page
        assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|https?://", page)
        for source in re.findall(r'<(?:script src|link rel="stylesheet" href)="([^"]+)"', page):
            assert source.startswith("/static/")

    def test_says_what_is_missing(self, db: None, settings: Any) -> None:
        settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "drf_spectacular_sidecar"]
        page = Client().get(url("docs")).content.decode()
        assert "cms-ai-images[reference]" in page and "<script" not in page


def answer(value: Any, name: str) -> None:
    """Check an answer against a component of the schema, in both directions: nothing is missing, and nothing untold."""
    whole = schema()
    jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": whole["components"]}
    ).validate(value)
    assert set(value) <= set(whole["components"]["schemas"][name]["properties"]), name


class TestAnswers:
    @pytest.fixture
    def client(self, author: User) -> Client:
        client = Client()
        client.force_login(author)
        return client

    def test_tasks_in_every_state(self, client: Client, author: User) -> None:
        preset = make_preset()
        running = make_task(author, status=Status.RUNNING)
        make_task(author, preset_version=preset.current_version, preset_label=preset.name)
        make_task(author, status=Status.FAILED, error_code="worker_lost")
        make_task(author, status=Status.CANCELLED)
        draft, accepted = make_image(author), make_image(author)
        services.accept(author, accepted, PictureDetails(focal_point=(0.5, 0.5)))
        page = client.get(url("task-list")).json()
        assert len(page["results"]) == 6
        answer(page, "TaskList")
        for task in page["results"]:
            answer(task, "Task")
            for image in task["images"]:
                answer(image, "Image")
        libraries = [image["library"] for task in page["results"] for image in task["images"] if image["library"]]
        (library,) = libraries
        answer(library, "LibraryFile")
        answer(client.get(url("task-detail", running.uuid), {"previews": 1}).json(), "Task")
        answer(client.get(url("task-ready")).json(), "Ready")
        answer(client.get(url("task-detail", draft.uuid)).json(), "Problem")

    def test_what_can_be_chosen(self, client: Client, author: User) -> None:
        make_worker()
        make_model(prices={"text_to_image": {"standard": 30}})
        make_preset()
        preferences.add_favourite(author, "mine", {"steps": 2})
        with override_settings(CMS_AI_IMAGES={**settings.CMS_AI_IMAGES, "CREDITS": True}):
            (model,) = client.get(url("model-list")).json()["results"]
            answer(client.get(url("credits")).json(), "Credits")
        (preset,) = client.get(url("preset-list")).json()["results"]
        stored = client.get(url("preferences")).json()
        folders = client.get(url("folder-list")).json()
        answer(model, "Model")
        answer(preset, "Preset")
        answer(stored, "Preferences")
        answer(stored["favourites"][0], "Favourite")
        answer(folders, "FolderList")
        answer(folders["default"], "Folder")
        answer(client.get(url("health")).json(), "Health")


def tried(**phases: Any) -> Any:
    """The API for schemathesis, which makes requests up in these phases."""
    config = SchemathesisConfig.from_dict({"phases": phases})
    api = schemathesis.openapi.from_dict(schema(), config=config)
    api.app = get_wsgi_application()
    return api


quickly = hypothesis_settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture
def one_connection(db: None) -> Iterator[None]:
    """The database stays as it is between the requests of a test; Django's own test client does the same."""
    signals = [request_started, request_finished]
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def desk(author: User, one_connection: None) -> dict[str, list[str]]:
    """Something of everything, and ids that lead somewhere."""
    make_worker(heartbeat_at=timezone.now() + timedelta(days=1))  # however long this takes
    make_model(prices={"text_to_image": {"standard": 10}})
    make_preset()
    preferences.add_favourite(author, "mine", {"steps": 2})
    tasks = [make_task(author, status=status) for status in Status]
    images = [make_image(author, task=task) for task in tasks if task.status == Status.SUCCEEDED]
    services.accept(author, make_image(author), PictureDetails())
    return {
        "tasks": [str(task.uuid) for task in GenerationTask.objects.all()],
        "images": [str(image.uuid) for task in GenerationTask.objects.all() for image in task.images.all()] or images,
        "preferences": [favourite["id"] for favourite in preferences.of(author).favourites],
    }


def lead_somewhere(case: Any, desk: dict[str, list[str]]) -> None:
    """Three in four requests for something name something that is there."""
    known = desk.get(case.path.strip("/").split("/")[0], [])
    for name in {"uuid", "favourite"} & set(case.path_parameters or {}):
        choice = hash(repr(case.body) + repr(case.query)) % (len(known) * 4 // 3 + 1)
        if choice < len(known):
            case.path_parameters[name] = known[choice]


@tried(coverage={"enabled": True, "unexpected-methods": ["put"]}).parametrize()
@quickly
def test_nothing_but_what_the_schema_says_with_a_token(case: Any, author: User, desk: dict[str, list[str]]) -> None:
    lead_somewhere(case, desk)
    case.call_and_validate(headers=bearer(author), checks=CHECKS)


@tried(coverage={"enabled": False}).parametrize()
@quickly
def test_nothing_but_what_the_schema_says_to_strangers(case: Any, one_connection: None) -> None:
    response = case.call_and_validate(checks=CHECKS)
    assert response.status_code in ({204, 404} if case.path.endswith("/events/") else {401, 404})
