"""What stays loaded, and what leaves when memory is short."""

from __future__ import annotations

from typing import ClassVar

import pytest

from cms_ai_images.backends.dummy import DummyBackend
from cms_ai_images.exceptions import OutOfMemory
from cms_ai_images.worker.residents import Residents

from .factories import make_model

GIB = 2**30


class SizedBackend(DummyBackend):
    """A dummy that occupies `gib` of a `capacity` that all of them share."""

    capacity: ClassVar[float] = 100
    used: ClassVar[float] = 0

    def load(self) -> None:
        if type(self).used + self.spec.options["gib"] > type(self).capacity:
            raise OutOfMemory
        type(self).used += self.spec.options["gib"]

    def unload(self) -> None:
        type(self).used -= self.spec.options["gib"]

    @property
    def memory(self) -> int:
        return self.spec.options["gib"] * GIB


@pytest.fixture
def models(db, settings, monkeypatch):
    settings.CMS_AI_IMAGES = {
        "BACKENDS": {"sized": "tests.test_residents.SizedBackend"},
        "MODEL_MEMORY_GIB": 10,
    }
    monkeypatch.setattr(SizedBackend, "used", 0)
    return {
        name: make_model(name, backend="sized", options={"gib": gib}) for name, gib in [("a", 4), ("b", 5), ("c", 4)]
    }


def test_the_least_recently_used_leaves(models):
    residents = Residents()
    for name in ("a", "b", "a", "c"):
        residents.get(models[name])
    assert residents.slugs == ["a", "c"]
    assert SizedBackend.used == 8


def test_without_a_budget_all_stay(models, settings):
    settings.CMS_AI_IMAGES = {"BACKENDS": {"sized": "tests.test_residents.SizedBackend"}}
    residents = Residents()
    for model in models.values():
        residents.get(model)
    assert residents.slugs == ["a", "b", "c"]


def test_a_model_that_does_not_fit_beside_the_others_is_loaded_without_them(models, monkeypatch):
    monkeypatch.setattr(SizedBackend, "capacity", 6)
    residents = Residents()
    residents.get(models["a"])
    residents.get(models["b"])
    assert residents.slugs == ["b"]


def test_a_model_that_never_fits_says_so(models, monkeypatch):
    monkeypatch.setattr(SizedBackend, "capacity", 3)
    with pytest.raises(OutOfMemory):
        Residents().get(models["a"])
