"""From a request to parameters: who decides what, and what is refused at which field."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from filer.models import Folder

from cms_ai_images import exceptions
from cms_ai_images.models import GenerationModel
from cms_ai_images.resolution import Resolved, default_model, fingerprint, presets_for, resolve
from cms_ai_images.types import MAX_SEED, GenerationParameters, GenerationRequest, Origin, Priority

from .conftest import make_user
from .factories import make_model, make_preset

pytestmark = pytest.mark.django_db


def ask(user: User, **fields: Any) -> Resolved:
    return resolve(user, GenerationRequest(**{"prompt": "a red apple", **fields}))


def refused(user: User, **fields: Any) -> tuple[str, str | None]:
    """The code and the field of the error that such a request meets; its message must be whole."""
    with pytest.raises(exceptions.AIImagesError) as caught:
        ask(user, **fields)
    assert "%(" not in str(caught.value)
    return caught.value.code, caught.value.field


# -- Who decides -------------------------------------------------------------------------------------------------------


def test_request_wins_over_preset_over_model_over_fallback(author: User) -> None:
    model = make_model(default_parameters={"steps": 4})
    make_preset(version={"parameters": {"steps": 6}})

    assert ask(author).parameters.steps == 4
    assert ask(author, preset="pencil").parameters.steps == 6
    assert ask(author, preset="pencil", steps=8).parameters.steps == 8
    assert ask(author).parameters.guidance_scale == 5.0  # the fallback

    model.default_parameters = {}
    model.save()
    assert ask(author).parameters.steps == 20
    assert ask(author, guidance_scale=0.0).parameters.guidance_scale == 0.0  # zero is a wish


def test_size_format_and_seed_come_from_the_preset_too(author: User) -> None:
    make_model(default_parameters={"output_format": "webp"})
    parameters = {"width": 96, "height": 64, "seed": 5, "output_format": "jpeg"}
    make_preset(version={"parameters": parameters})

    plain, styled = ask(author).parameters, ask(author, preset="pencil").parameters
    assert (plain.width, plain.height, plain.output_format) == (64, 64, "webp")
    assert {name: getattr(styled, name) for name in parameters} == parameters


def test_format_of_the_site_is_the_last_word(author: User, settings) -> None:
    make_model()
    settings.CMS_AI_IMAGES = {"OUTPUT_FORMAT": "webp"}
    assert ask(author).parameters.output_format == "webp"
    assert ask(author, output_format="png").parameters.output_format == "png"


def test_negative_prompts_of_style_and_author_are_joined(author: User) -> None:
    make_model()
    make_preset(version={"negative_prompt": "colour"})
    assert ask(author, preset="pencil", negative_prompt=" people\x00 ").parameters.negative_prompt == "colour, people"
    assert ask(author, preset="pencil").parameters.negative_prompt == "colour"
    assert ask(author).parameters.negative_prompt == ""


def test_model_is_the_request_s_or_the_preset_s_or_the_default(author: User, settings) -> None:
    first, second, third = (make_model(slug, position=position) for position, slug in enumerate("abc"))
    make_preset(version={"model": second})

    assert ask(author).model == first
    assert ask(author, preset="pencil").model == second
    assert ask(author, preset="pencil", model="c").model == third
    settings.CMS_AI_IMAGES = {"DEFAULT_MODEL": "c"}
    assert default_model(author) == third
    settings.CMS_AI_IMAGES = {"DEFAULT_MODEL": "gone"}
    assert default_model(author) == first


def test_preset_of_a_disabled_model_falls_back_to_the_default(author: User) -> None:
    default = make_model()
    make_preset(version={"model": make_model("old", enabled=False), "locked": ["model"]})
    assert ask(author, preset="pencil").model == default


def test_preset_version_and_auto_acceptance_are_kept(author: User, settings) -> None:
    make_model()
    preset = make_preset()
    assert ask(author, preset="pencil").preset_version == preset.current_version
    assert ask(author).preset_version is None
    assert ask(author).auto_accept is False
    settings.CMS_AI_IMAGES = {"AUTO_ACCEPT": True}
    assert ask(author).auto_accept is True
    assert ask(author, auto_accept=False).auto_accept is False


@pytest.mark.parametrize(
    ("template", "prompt", "told"),
    [
        ("", "an apple", "an apple"),
        ("  ", "an apple", "an apple"),
        ("a sketch of {prompt}, grey", "an apple", "a sketch of an apple, grey"),
        ("{prompt} and {prompt}", "an apple", "an apple and an apple"),
        ("grey, on paper", "an apple", "an apple, grey, on paper"),
        ("{prompt} {style:1.2} {0} {{x}} %s", "an apple", "an apple {style:1.2} {0} {{x}} %s"),
        ("a sketch of {prompt}", "{prompt} {0}", "a sketch of {prompt} {0}"),
    ],
)
def test_template_takes_the_author_s_words_as_they_are(author: User, template: str, prompt: str, told: str) -> None:
    make_model()
    make_preset(version={"prompt_template": template})
    assert ask(author, preset="pencil", prompt=prompt).parameters.prompt == told


def test_strange_but_honest_prompts_pass(author: User) -> None:
    make_model()
    assert ask(author, prompt="a\x00 👩‍👩‍👧 \u200fعلى").parameters.prompt == "a 👩‍👩‍👧 \u200fعلى"


def test_seed_is_drawn_afresh_unless_given(author: User) -> None:
    make_model()
    drawn = {ask(author).parameters.seed for _ in range(5)}
    assert len(drawn) > 1
    assert all(0 <= seed <= MAX_SEED for seed in drawn)
    assert [ask(author, seed=seed).parameters.seed for seed in (0, MAX_SEED)] == [0, MAX_SEED]


# -- What is locked ----------------------------------------------------------------------------------------------------


def test_locked_parameter_may_be_repeated_but_not_changed(author: User) -> None:
    make_model()
    make_preset(version={"parameters": {"steps": 6, "seed": 1}, "locked": ["steps"]})
    assert ask(author, preset="pencil", steps=6, seed=2).parameters.seed == 2
    assert refused(author, preset="pencil", steps=7) == ("parameter_locked", "steps")


def test_locked_model_may_be_repeated_but_not_changed(author: User) -> None:
    make_model()
    locked = make_model("locked")
    make_preset(version={"model": locked, "locked": ["model"]})
    assert ask(author, preset="pencil", model="locked").model == locked
    assert ask(author, preset="pencil", model="").model == locked
    assert refused(author, preset="pencil", model="dummy") == ("parameter_locked", "model")


# -- What is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"prompt": " \n"}, "prompt_empty", "prompt"),
        ({"prompt": "x" * 2001}, "prompt_too_long", "prompt"),
        ({"negative_prompt": "x" * 2001}, "prompt_too_long", "negative_prompt"),
        ({"width": 65, "height": 64}, "size_not_supported", "size"),
        ({"width": 64, "height": 96}, "size_not_supported", "size"),
        ({"width": 0, "height": 0}, "size_not_supported", "size"),
        ({"width": 64}, "size_incomplete", "height"),
        ({"height": 64}, "size_incomplete", "width"),
        ({"strength": 0.5}, "parameter_not_used", "strength"),
        ({"strength": 0.0}, "parameter_not_used", "strength"),
        ({"width": -64, "height": -64}, "size_not_supported", "size"),
        ({"preset": "no-such"}, "preset_not_available", "preset"),
        ({"model": "no-such"}, "model_not_available", "model"),
        ({"operation": "inpaint"}, "operation_not_supported", "operation"),
        ({"steps": 0}, "parameter_out_of_range", "steps"),
        ({"steps": 151}, "parameter_out_of_range", "steps"),
        ({"guidance_scale": -0.1}, "parameter_out_of_range", "guidance_scale"),
        ({"guidance_scale": float("nan")}, "parameter_out_of_range", "guidance_scale"),
        ({"guidance_scale": float("inf")}, "parameter_out_of_range", "guidance_scale"),
        ({"num_images": 0}, "parameter_out_of_range", "num_images"),
        ({"num_images": 5}, "parameter_out_of_range", "num_images"),
        ({"seed": -1}, "parameter_out_of_range", "seed"),
        ({"seed": MAX_SEED + 1}, "parameter_out_of_range", "seed"),
        ({"output_format": "bmp"}, "invalid", "output_format"),
        ({"priority": "urgent"}, "invalid", "priority"),
        ({"priority": "high"}, "not_permitted", "priority"),
    ],
)
def test_bad_input_is_refused_at_its_field(author: User, fields: dict[str, Any], code: str, field: str) -> None:
    make_model()
    assert refused(author, **fields) == (code, field)


def test_limits_of_the_model_hold_beside_the_general_ones(author: User, settings) -> None:
    settings.CMS_AI_IMAGES = {"LIMITS": {"images_per_request": 9}}
    make_model(parameter_limits={"steps": [2, 4], "num_images": [1, 6]})
    assert ask(author, steps=4, num_images=6).parameters.num_images == 6
    assert refused(author, steps=5) == ("parameter_out_of_range", "steps")
    assert refused(author, num_images=7) == ("parameter_out_of_range", "num_images")


def test_disabled_model_is_not_available_and_without_any_there_is_none(author: User) -> None:
    make_model(enabled=False)
    assert refused(author, model="dummy") == ("model_not_available", "model")
    assert refused(author) == ("no_model_configured", None)


def test_presets_are_for_their_groups_once_published(author: User, admin: User) -> None:
    make_model()
    designers = Group.objects.create(name="Designers")
    writers = Group.objects.create(name="Writers")
    make_preset("house", groups=(designers, writers))
    make_preset("draft", published=False)
    make_preset("everybody")

    assert refused(author, preset="draft") == ("preset_not_available", "preset")
    assert refused(author, preset="house") == ("preset_not_available", "preset")
    author.groups.add(designers, writers)
    assert ask(author, preset="house").preset_version is not None
    assert [preset.slug for preset in presets_for(author)] == ["everybody", "house"]  # once, in two groups
    assert [preset.slug for preset in presets_for(admin)] == ["everybody", "house"]


def test_high_priority_needs_its_permission(author: User) -> None:
    make_model()
    hurried = make_user("hurried", "cms_ai_images.generate", "cms_ai_images.use_high_priority")
    assert ask(hurried, priority="high").priority is Priority.HIGH
    assert ask(author, priority="low").priority is Priority.LOW


# -- What it is for ----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder_author() -> User:
    """May change folders of the media library, which stand for any object of a site here."""
    return make_user("folders", "cms_ai_images.generate", "filer.change_folder")


def test_origin_is_an_object_that_the_author_may_see(folder_author: User) -> None:
    make_model()
    folder = Folder.objects.create(name="An object")
    expected = ContentType.objects.get_for_model(Folder)
    for origin in (
        Origin(label="filer.folder", object_id=str(folder.pk), field="body"),
        Origin(label="filer.Folder", object_id=str(folder.pk)),
        Origin(label="filer.folder"),  # not saved yet
    ):
        assert ask(folder_author, origin=origin).origin_type == expected
    assert ask(folder_author).origin_type is None


@pytest.mark.parametrize(
    "origin",
    [
        Origin(label="no.such", object_id="1"),
        Origin(label="folder", object_id="1"),
        Origin(label="", object_id="1"),
        Origin(label="filer.folder", object_id="999"),
        Origin(label="filer.folder", object_id="nonsense"),
        Origin(label="filer.folder", object_id="9" * 40),
        Origin(label="auth.user", object_id="1"),
    ],
    ids=["unknown", "no dot", "empty", "deleted", "nonsense", "huge", "not permitted"],
)
def test_origin_that_is_not_there_or_not_the_author_s_business(folder_author: User, origin: Origin) -> None:
    make_model()
    assert refused(folder_author, origin=origin) == ("origin_not_found", "origin")


# -- The fingerprint ---------------------------------------------------------------------------------------------------


def test_fingerprint_is_the_same_for_the_same_pixels(author: User) -> None:
    model = make_model(options={"b": 1, "a": {"y": 2, "x": 1}})
    parameters = ask(author, seed=7).parameters
    before = fingerprint(model, parameters)
    model.options = {"a": {"x": 1, "y": 2}, "b": 1}
    model.label, model.position, model.enabled = "Another", 9, False
    model.save()
    stored = GenerationModel.objects.get(pk=model.pk)
    assert fingerprint(stored, GenerationParameters(**parameters.as_dict())) == before
    assert len(before) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a green apple"},
        {"negative_prompt": "people"},
        {"width": 96},
        {"steps": 3},
        {"guidance_scale": 0.5},
        {"seed": 8},
        {"num_images": 2},
        {"output_format": "webp"},
    ],
)
def test_fingerprint_changes_with_each_parameter(author: User, change: dict[str, Any]) -> None:
    model = make_model()
    parameters = ask(author, seed=7).parameters
    assert fingerprint(model, dataclasses.replace(parameters, **change)) != fingerprint(model, parameters)


@pytest.mark.parametrize(
    "change",
    [
        {"backend": "diffusers"},
        {"source": "some/model"},
        {"revision": "abc"},
        {"weights": [{"file": "style.safetensors"}]},
        {"dtype": "float32"},
        {"options": {"step_seconds": 1}},
    ],
)
def test_fingerprint_changes_with_the_model(author: User, change: dict[str, Any]) -> None:
    model = make_model()
    parameters = ask(author, seed=7).parameters
    before = fingerprint(model, parameters)
    for name, value in change.items():
        setattr(model, name, value)
    assert fingerprint(model, parameters) != before


def test_a_style_that_the_model_cannot_do_is_at_fault_itself(author: User) -> None:
    make_model(parameter_limits={"steps": [1, 50]})
    make_preset(version={"parameters": {"steps": 99}})
    assert refused(author, preset="pencil") == ("preset_does_not_fit", "preset")
    assert refused(author, preset="pencil", steps=98) == ("parameter_out_of_range", "steps")
    assert ask(author, preset="pencil", steps=9).parameters.steps == 9


def test_one_side_is_enough_where_the_style_says_the_other(author: User) -> None:
    make_model()
    make_preset(version={"parameters": {"width": 96, "height": 64}})
    assert ask(author, preset="pencil", width=64).parameters.width == 64
    make_preset("half", version={"parameters": {"width": 96}})  # from before the admin looked at what styles set
    assert refused(author, preset="half") == ("preset_does_not_fit", "preset")
