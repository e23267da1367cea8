"""One shape for every error, and one table that tells all codes."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from rest_framework import serializers

from cms_ai_images import exceptions
from cms_ai_images.api.filters import PageSerializer, TaskFilterSerializer
from cms_ai_images.api.options import HealthQuerySerializer
from cms_ai_images.api.problems import FRAMEWORK_CODES
from cms_ai_images.api.references import UploadSerializer
from cms_ai_images.api.serializers import GenerationRequestSerializer, PictureDetailsSerializer
from cms_ai_images.api.spending import SpendingQuerySerializer
from cms_ai_images.api.tasks import WatchSerializer
from cms_ai_images.api.waiting import WaitSerializer

from .conftest import logged_in

ROOT = Path(settings.BASE_DIR)
INPUTS = [
    GenerationRequestSerializer,
    HealthQuerySerializer,
    PageSerializer,
    PictureDetailsSerializer,
    SpendingQuerySerializer,
    TaskFilterSerializer,
    UploadSerializer,
    WaitSerializer,
    WatchSerializer,
]
API = ROOT / "cms_ai_images/api"


@pytest.fixture(scope="module")
def table() -> dict[str, list[str]]:
    """The cells of each code's line in docs/errors.md."""
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs/errors.md").read_text(), re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a code is told twice"
    return {code: cells.split(" | ") for code, cells in rows}


def test_the_table_tells_every_code_of_ours_and_no_other(table: dict[str, list[str]]) -> None:
    own = {error.code: error for error in exceptions.known()}
    assert set(own) == {code for code, cells in table.items() if len(cells) == 4}
    for code, error in own.items():
        status, again, when, what = table[code]
        assert (int(status), again) == (error.status, "yes" if error.retryable else "no"), code
        assert when.endswith(".") and what.endswith("."), code


def test_the_table_tells_the_frameworks_codes(table: dict[str, list[str]]) -> None:
    told = {code: int(cells[0]) for code, cells in table.items() if len(cells) == 2}
    assert told == {code: status for code, (status, _meaning) in FRAMEWORK_CODES.items()}
    assert not set(FRAMEWORK_CODES) & {error.code for error in exceptions.known()}


def codes(field: serializers.Field) -> set[str]:
    """Whatever this input, and those within it, can be refused with."""
    found = set(field.error_messages)
    found |= {validator.code for validator in field.validators if hasattr(validator, "code")}
    within = [field.child] if hasattr(field, "child") else []
    within += field.fields.values() if isinstance(field, serializers.Serializer) else []
    return found.union(*map(codes, within))


@pytest.mark.parametrize("serializer", INPUTS, ids=lambda serializer: serializer.__name__)
def test_no_input_is_refused_with_a_code_that_is_not_told(
    table: dict[str, list[str]], serializer: type[serializers.Serializer]
) -> None:
    assert codes(serializer()) - set(table) == set()


def raised_codes(source: str) -> set[str]:
    """What functions such as `validate` refuse with: each `ValidationError` has a `code`, or means `invalid`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        name = getattr(getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", ""))
        if isinstance(node, ast.Call) and name == "ValidationError":
            code = next((word.value for word in node.keywords if word.arg == "code"), ast.Constant("invalid"))
            assert isinstance(code, ast.Constant), "a code that is made up while running cannot be told"
            found.add(str(code.value))
    return found


def test_no_function_refuses_an_input_with_a_code_that_is_not_told(table: dict[str, list[str]]) -> None:
    assert raised_codes('raise serializers.ValidationError({"to": text}, code="too_odd")') == {"too_odd"}
    assert raised_codes("raise ValidationError(text)") == {"invalid"}
    of_openai = (ROOT / "docs/api-clients.md").read_text()
    sources = {path: raised_codes(path.read_text()) for path in API.rglob("*.py")}
    assert len([path for path, found in sources.items() if found]) >= 4  # else nothing was looked at
    for path, found in sources.items():
        told = {code for code in found if f"`{code}`" in of_openai} if "openai" in path.parts else set()
        assert found - told <= set(table), path


class TestType:
    def test_leads_to_the_line_of_the_code(self, db: None) -> None:
        problem = Client().get(reverse("cms_ai_images:task-list")).json()
        path, code = problem["type"].split("#")
        assert code == problem["code"] == "token_missing"
        page = Client().get(path).content.decode()
        assert f'<tr id="{code}">' in page

    def test_every_code_has_a_line_in_the_readers_language(self, db: None) -> None:
        page = Client().get(reverse("cms_ai_images:problems")).content.decode()
        listed = re.findall(r'<tr id="(\w+)">', page)
        assert len(listed) == len(set(listed))
        assert set(listed) == {error.code for error in exceptions.known()} | set(FRAMEWORK_CODES)
        assert not re.findall(r"<script|<style|\bstyle=|%\(", page)

    def test_administrators_business_is_not_told(self, db: None) -> None:
        page = Client().get(reverse("cms_ai_images:problems")).content.decode()
        assert str(exceptions.ModelFilesMissing.message).split("%")[0] in page
        assert "nvidia-smi" not in page


def test_an_address_that_leads_nowhere_says_so_in_the_same_shape(db: None) -> None:
    root = reverse("cms_ai_images:task-list").removesuffix("tasks/")
    for path in ("", "nothing/", "tasks/no-uuid/", "tasks/no-uuid/cancel/", "tasks/a%0Ab/"):
        for method in ("get", "post"):
            response: Any = getattr(Client(enforce_csrf_checks=True), method)(root + path)
            assert (response.status_code, response.json()["code"]) == (404, "not_found"), path
            assert response["Content-Type"] == "application/problem+json"


def test_a_stream_says_so_too_where_the_method_is_wrong(db: None) -> None:
    address = reverse("cms_ai_images:task-events", args=["6a2d1c5e-7a55-4a55-9a2f-3a1b5d0f8c11"])
    response: Any = Client(enforce_csrf_checks=True).post(address)
    assert (response.status_code, response.json()["code"], response["Allow"]) == (405, "method_not_allowed", "GET")
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ([], None),
        ({"prompt": "a fox", "references": [{}]}, "references.0"),
        ({"prompt": "a fox", "references": [{"library": "x"}]}, "references.0.library"),
        ({"prompt": "a fox", "origin": 7}, "origin"),
    ],
    ids=str,
)
def test_an_object_that_is_wrong_as_a_whole_is_named_without_the_frameworks_word(
    author: User, asked: Any, field: str | None
) -> None:
    path = reverse("cms_ai_images:task-list")
    answer = logged_in(author).post(path, json.dumps(asked), content_type="application/json")
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (400, [field])
