"""Styles in the admin: what their designer says is kept in versions, and refused where it cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cms_ai_images.models import (
    StylePreset,
    StylePresetVersion,
)

from .admin_pages import errors_of, form_of, url
from .conftest import logged_in
from .factories import make_model, make_preset

pytestmark = pytest.mark.django_db


@pytest.fixture
def studio(designer: User) -> Client:
    """The designer's browser."""
    return logged_in(designer)


def test_designer_makes_a_preset_with_its_first_version(studio: Client, designer: User) -> None:
    model = make_model()
    page = studio.get(url(StylePreset, "add"))
    values = {
        "name": "Ink",
        "slug": "ink",
        "published": "on",
        "prompt_template": "ink drawing of {prompt}",
        "parameters": '{"steps": 6, "width": 96, "height": 64}',
        "locked": '["steps", "model"]',
        "model": model.pk,
    }
    assert studio.post(url(StylePreset, "add"), {**form_of(page), **values}).status_code == 302
    version = StylePreset.objects.get(slug="ink").current_version
    assert (version.number, version.created_by, version.model) == (1, designer, model)
    assert (version.parameters, version.locked) == ({"steps": 6, "width": 96, "height": 64}, ["steps", "model"])


def test_saving_makes_a_version_only_when_something_changed(studio: Client) -> None:
    values = {"prompt_template": "ink", "parameters": {"steps": 3}, "locked": ["steps"], "model": make_model()}
    preset = make_preset(version=values)
    address = url(StylePreset, "change", preset.pk)

    def save(**changes: Any) -> StylePresetVersion:
        assert studio.post(address, {**form_of(studio.get(address)), **changes}).status_code == 302
        preset.refresh_from_db()
        return preset.current_version

    assert save().number == 1
    assert save(name="Quill", description="Fine lines").number == 1
    assert preset.name == "Quill"
    assert save(prompt_template="quill").number == 2
    assert (preset.current_version.parameters, preset.current_version.locked) == ({"steps": 3}, ["steps"])
    emptied = save(parameters="", locked="", model="")
    assert (emptied.number, emptied.parameters, emptied.locked, emptied.model) == (3, {}, [], None)
    assert StylePresetVersion.objects.count() == 3


def test_editing_the_list_makes_no_version(studio: Client) -> None:
    preset = make_preset(published=False)
    data = {
        "form-TOTAL_FORMS": 1,
        "form-INITIAL_FORMS": 1,
        "form-0-id": preset.pk,
        "form-0-published": "on",
        "form-0-position": 7,
        "_save": "Save",
    }
    assert studio.post(url(StylePreset, "changelist"), data).status_code == 302
    preset.refresh_from_db()
    assert (preset.published, preset.position, preset.versions.count()) == (True, 7, 1)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"parameters": '{"steps": '}, "parameters", "valid JSON"),
        ({"parameters": "[6]"}, "parameters", "JSON object"),
        ({"parameters": '{"stepz": 6}'}, "parameters", "stepz"),
        ({"parameters": '{"steps": "many"}'}, "parameters", "steps"),
        ({"parameters": '{"steps": true}'}, "parameters", "steps"),
        ({"parameters": '{"guidance_scale": NaN}'}, "parameters", "guidance_scale"),
        ({"parameters": '{"negative_prompt": 5}'}, "parameters", "negative_prompt"),
        ({"parameters": '{"output_format": "bmp"}'}, "parameters", "output_format"),
        ({"locked": "steps"}, "locked", "valid JSON"),
        ({"locked": '["steps"]'}, "locked", "set above"),
        ({"locked": '{"steps": 1}'}, "locked", "set above"),
        ({"locked": '[["model"]]'}, "locked", "set above"),
        ({"model": "999"}, "model", "valid choice"),
        ({"slug": "taken"}, "slug", "already exists"),
        ({"name": ""}, "name", "required"),
    ],
)
def test_wrong_preset_is_explained_at_its_field(
    studio: Client, changes: dict[str, str], field: str, words: str
) -> None:
    make_preset("taken")
    preset = make_preset(version={})
    address = url(StylePreset, "change", preset.pk)
    errors = errors_of(studio.post(address, {**form_of(studio.get(address)), **changes}))
    assert list(errors) == [field]
    assert words in " ".join(errors[field])
    assert preset.versions.count() == 1


def test_designer_sees_the_versions_and_cannot_change_them(studio: Client, author: User) -> None:
    preset = make_preset(version={"prompt_template": "the old words"})
    address = url(StylePreset, "change", preset.pk)
    studio.post(address, {**form_of(studio.get(address)), "prompt_template": "the new words"})
    page = studio.get(address).content.decode()
    assert "the old words" in page
    assert 'name="versions-0-prompt_template"' not in page
    assert studio.post(url(StylePreset, "delete", preset.pk), {"post": "yes"}).status_code == 302
    assert not StylePreset.objects.exists()


def test_queries_of_a_preset_do_not_grow_with_its_versions(studio: Client) -> None:
    preset = make_preset()
    address = url(StylePreset, "change", preset.pk)
    model = make_model()

    def save(number: int) -> None:
        changes = {"prompt_template": f"version {number}", "model": model.pk}
        assert studio.post(address, {**form_of(studio.get(address)), **changes}).status_code == 302

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            studio.get(address)
        return len(captured)

    save(2)
    queries()
    few = queries()
    for number in range(3, 8):
        save(number)
    assert queries() == few


def test_a_style_that_its_model_cannot_do_is_refused(admin_browser: Client) -> None:
    make_model(parameter_limits={"steps": [1, 50]})
    form = {"name": "Slow", "slug": "slow", "position": 0, "parameters": '{"steps": 99}', "locked": "[]"}
    form |= {"versions-TOTAL_FORMS": 0, "versions-INITIAL_FORMS": 0}
    page = admin_browser.post(url(StylePreset, "add"), form)
    assert page.status_code == 200
    assert "The number of steps must be between 1 and 50." in page.content.decode()
    assert not StylePreset.objects.exists()
