"""What a model offers beside its usual quality: what it sets, who gets it, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from cms_ai_images import services
from cms_ai_images.exceptions import ParameterLocked, QualityNotOffered
from cms_ai_images.models import GenerationModel

from .asking import ask, refused, set_limits
from .factories import make_model, make_preset, make_worker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def worker(db: None) -> None:
    """Somebody who would draw."""
    make_worker()


@pytest.fixture
def model(db: None) -> GenerationModel:
    return make_model(
        qualities={"high": {"steps": 40}, "draft": {"steps": 1}},
        parameter_limits={"steps": [2, 25]},
        prices={"text_to_image": {"standard": 30, "high": 60}},
    )


def count_points(settings: Any) -> None:
    """A site where pictures cost points, and everybody has plenty."""
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "CREDITS": True, "MONTHLY_POINTS": 1000}


def test_a_quality_sets_what_the_author_does_not(author: User, model: GenerationModel) -> None:
    assert ask(author).parameters["steps"] == 2
    assert ask(author, quality="high").parameters["steps"] == 40
    assert ask(author, quality="draft").parameters["steps"] == 1
    assert ask(author, quality="high", steps=30).parameters["steps"] == 30


def test_what_it_sets_is_only_to_be_had_with_it(author: User, model: GenerationModel) -> None:
    assert refused(author, steps=40).params["high"] == 25
    assert refused(author, quality="high", steps=41).params["high"] == 40


def test_it_costs_what_the_model_says(author: User, model: GenerationModel, settings) -> None:
    count_points(settings)
    assert ask(author, num_images=2).cost == 60
    assert ask(author, num_images=2, quality="high").cost == 120
    assert ask(author, quality="draft").cost == 30  # without a price of its own


def test_it_costs_nothing_where_points_are_not_counted(author: User, model: GenerationModel) -> None:
    assert ask(author, num_images=2, quality="high").cost == 0


def test_it_is_charged_again_with_a_retry(author: User, model: GenerationModel, settings) -> None:
    count_points(settings)
    task = services.cancel(author, ask(author, quality="high"))
    assert services.retry(author, task).cost == 60


def test_it_comes_before_the_style_unless_that_locks(author: User, model: GenerationModel) -> None:
    make_preset("ink", version={"parameters": {"steps": 5}})
    make_preset("strict", version={"parameters": {"steps": 5}, "locked": ["steps"]})
    assert ask(author, preset="ink").parameters["steps"] == 5
    assert ask(author, preset="ink", quality="high").parameters["steps"] == 40
    error = refused(author, preset="strict", quality="high")
    assert isinstance(error, ParameterLocked)
    assert error.field == "quality"


def test_an_unknown_one_names_those_that_there_are(author: User, model: GenerationModel) -> None:
    error = refused(author, quality="ultra")
    assert isinstance(error, QualityNotOffered)
    assert "standard, high, draft" in str(error)


def test_the_list_of_models_has_them_with_their_prices(author: User, model: GenerationModel, settings) -> None:
    settings.CMS_AI_IMAGES = {"CREDITS": True}
    client = Client()
    client.force_login(author)
    (listed,) = client.get(reverse("cms_ai_images:model-list")).json()["results"]
    assert listed["prices"] == {"text_to_image": 30}
    assert [(each["name"], each["label"], each["parameters"]) for each in listed["qualities"]] == [
        ("standard", "Standard", {}),
        ("high", "High", {"steps": 40}),
        ("draft", "Draft", {"steps": 1}),
    ]
    assert [each["parameter_limits"]["steps"] for each in listed["qualities"]] == [[2, 25], [2, 40], [1, 25]]
    assert [each["prices"] for each in listed["qualities"]] == [{"text_to_image": price} for price in (30, 60, 30)]


def test_none_is_offered_that_is_beyond_somebodys_steps(author: User, model: GenerationModel, settings) -> None:
    set_limits(settings, steps=39)
    assert isinstance(refused(author, quality="high"), QualityNotOffered)
    assert ask(author, quality="draft").parameters["steps"] == 1


@pytest.mark.parametrize(
    "qualities",
    [
        ["high"],
        {"high": 40},
        {"high": {"steps": 40.5}},
        {"high": {"steps": 0}},
        {"high": {"seed": 7}},
        {"high": {"guidance_scale": "5"}},
        {"standard": {"steps": 9}},
        {"High": {}},
        {"": {}},
    ],
)
def test_what_cannot_be_one_is_refused_in_the_admin(qualities: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        make_model("wrong", qualities=qualities).full_clean()
    assert "qualities" in caught.value.message_dict
