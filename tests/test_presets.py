"""Presets: a change is a new version, and old pictures keep theirs."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from cms_ai_images.models import StylePreset, StylePresetVersion
from cms_ai_images.presets import publish_version

from .factories import make_model, make_preset, make_task

pytestmark = pytest.mark.django_db


def numbers(preset: StylePreset) -> list[int]:
    return sorted(preset.versions.values_list("number", flat=True))


def test_first_version_is_number_one_and_names_its_author(designer: User) -> None:
    preset = StylePreset.objects.create(slug="ink", name="Ink")
    version = publish_version(preset, {"prompt_template": "ink, {prompt}", "parameters": {"steps": 3}}, user=designer)
    preset.refresh_from_db()
    assert preset.current_version == version
    assert (version.number, version.created_by, version.parameters, version.locked) == (1, designer, {"steps": 3}, [])


def test_unchanged_values_make_no_version() -> None:
    preset = make_preset(version={"prompt_template": "ink", "parameters": {"steps": 3, "seed": 1}})
    again = publish_version(preset, {"prompt_template": "ink", "parameters": {"seed": 1, "steps": 3}})
    assert again == preset.current_version
    assert numbers(preset) == [1]


@pytest.mark.parametrize(
    "change",
    [
        {"prompt_template": "charcoal"},
        {"negative_prompt": "colour"},
        {"parameters": {"steps": 4}},
        {"locked": []},
        {"model": None},
    ],
)
def test_each_change_makes_a_version_and_keeps_the_old_one(change: dict) -> None:
    values = {"prompt_template": "ink", "parameters": {"steps": 3}, "locked": ["steps"], "model": make_model()}
    preset = make_preset(version=values)
    old = preset.current_version
    task = make_task(preset_version=old, preset_label=preset.name)

    fresh = publish_version(preset, {**values, **change})

    assert (fresh.number, preset.current_version, numbers(preset)) == (2, fresh, [1, 2])
    task.refresh_from_db()
    assert task.preset_version == old
    assert {name: getattr(task.preset_version, name) for name in values} == values


def test_going_back_is_a_version_too() -> None:
    preset = make_preset(version={"prompt_template": "ink"})
    publish_version(preset, {"prompt_template": "charcoal"})
    back = publish_version(preset, {"prompt_template": "ink"})
    assert (back.number, numbers(preset)) == (3, [1, 2, 3])


def test_two_designers_who_loaded_the_same_preset_get_two_numbers() -> None:
    preset = make_preset()
    mine, theirs = StylePreset.objects.get(pk=preset.pk), StylePreset.objects.get(pk=preset.pk)
    publish_version(mine, {"prompt_template": "mine"})
    publish_version(theirs, {"prompt_template": "theirs"})
    preset.refresh_from_db()
    assert preset.current_version.prompt_template == "theirs"
    assert numbers(preset) == [1, 2, 3]


def test_version_is_never_changed() -> None:
    version = make_preset().current_version
    version.prompt_template = "something else"
    with pytest.raises(ValidationError) as caught:
        version.save()
    assert caught.value.code == "version_immutable"
    assert StylePresetVersion.objects.get().prompt_template == "a pencil sketch of {prompt}"


def test_pictures_outlive_their_preset() -> None:
    preset = make_preset()
    task = make_task(preset_version=preset.current_version, preset_label=preset.name)
    preset.delete()
    task.refresh_from_db()
    assert (task.preset_version, task.preset_label) == (None, "Pencil")
