"""One shape for every error, and one table that tells all codes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from rest_framework import serializers

from cms_ai_images import exceptions
from cms_ai_images.api.filters import TaskFilterSerializer
from cms_ai_images.api.problems import FRAMEWORK_CODES
from cms_ai_images.api.references import UploadSerializer
from cms_ai_images.api.serializers import GenerationRequestSerializer, PictureDetailsSerializer
from cms_ai_images.api.spending import SpendingQuerySerializer
from cms_ai_images.api.waiting import WaitSerializer

ROOT = Path(settings.BASE_DIR)
INPUTS = [
    GenerationRequestSerializer,
    PictureDetailsSerializer,
    SpendingQuerySerializer,
    TaskFilterSerializer,
    UploadSerializer,
    WaitSerializer,
]


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


class TestType:
    def test_leads_to_the_line_of_the_code(self, db: None) -> None:
        problem = Client().get(reverse("cms_ai_images:task-list")).json()
        path, code = problem["type"].split("#")
        assert code == problem["code"] == "not_logged_in"
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
    for path in ("nothing/", "tasks/no-uuid/", "tasks/no-uuid/cancel/"):
        for method in ("get", "post"):
            response: Any = getattr(Client(enforce_csrf_checks=True), method)(root + path)
            assert (response.status_code, response.json()["code"]) == (404, "not_found"), path
            assert response["Content-Type"] == "application/problem+json"


def test_a_stream_says_so_too_where_the_method_is_wrong(db: None) -> None:
    address = reverse("cms_ai_images:task-events", args=["6a2d1c5e-7a55-4a55-9a2f-3a1b5d0f8c11"])
    response: Any = Client(enforce_csrf_checks=True).post(address)
    assert (response.status_code, response.json()["code"], response["Allow"]) == (405, "method_not_allowed", "GET")
    assert response["Content-Type"] == "application/problem+json"
