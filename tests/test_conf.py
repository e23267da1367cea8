"""Settings are read when they are needed, and mistakes in them are found at start."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from cms_ai_images import conf
from cms_ai_images.backends import get_backend_class
from cms_ai_images.backends.dummy import DummyBackend
from cms_ai_images.checks import check_settings
from cms_ai_images.exceptions import UnknownBackend
from cms_ai_images.models.generation_models import FALLBACK_LIMITS, FALLBACK_PARAMETERS


def test_site_s_values_win_and_changes_are_noticed(settings) -> None:
    assert conf.get("DRAFT_RETENTION_DAYS") == conf.DEFAULTS["DRAFT_RETENTION_DAYS"]
    settings.CMS_AI_IMAGES = {"DRAFT_RETENTION_DAYS": 5}
    assert conf.get("DRAFT_RETENTION_DAYS") == 5
    assert conf.get("CREDITS") is False
    settings.CMS_AI_IMAGES = {}
    assert conf.get("DRAFT_RETENTION_DAYS") == conf.DEFAULTS["DRAFT_RETENTION_DAYS"]


def test_name_without_a_default_does_not_exist() -> None:
    with pytest.raises(KeyError):
        conf.get("NO_SUCH_SETTING")


def test_backends_of_the_site_are_added(settings) -> None:
    settings.CMS_AI_IMAGES = {"BACKENDS": {"gradient": "cms_ai_images.backends.dummy.DummyBackend"}}
    assert set(conf.get("BACKENDS")) == {"diffusers", "dummy", "gradient"}
    assert get_backend_class("gradient") is DummyBackend
    settings.CMS_AI_IMAGES = {}
    with pytest.raises(UnknownBackend):
        get_backend_class("gradient")


def test_example_site_passes_its_checks() -> None:
    assert check_settings() == []


def test_unknown_key_is_an_error(settings) -> None:
    settings.CMS_AI_IMAGES = {"LIBRARY_FODLER": 5}
    with pytest.raises(ImproperlyConfigured, match="LIBRARY_FODLER"):
        conf.get("LIBRARY_FOLDER")
    (error,) = check_settings()
    assert (error.id, error.is_serious()) == ("cms_ai_images.E001", True)
    assert "LIBRARY_FODLER" in error.msg
    assert error.hint


def test_limits_of_the_site_are_laid_over_the_others(settings) -> None:
    settings.CMS_AI_IMAGES = {"LIMITS": {"active_tasks": None, "task_seconds": 0.5}}
    changed = {**conf.DEFAULTS["LIMITS"], "active_tasks": None, "task_seconds": 0.5}
    assert conf.get("LIMITS") == changed


@pytest.mark.parametrize(
    "limits",
    [
        {"acitve_tasks": 5},
        {"active_tasks": 0},
        {"steps": -1},
        {"steps": True},
        {"steps": "9"},
        {"steps": 9.5},
        {"task_seconds": None},
    ],
)
def test_limit_that_cannot_be_is_an_error(settings, limits) -> None:
    settings.CMS_AI_IMAGES = {"LIMITS": limits}
    (error,) = check_settings()
    assert (error.id, error.is_serious()) == ("cms_ai_images.E001", True)
    assert next(iter(limits)) in error.msg


def test_missing_draft_storage_is_an_error(settings) -> None:
    settings.CMS_AI_IMAGES = {"DRAFT_STORAGE": "nowhere"}
    (error,) = check_settings()
    assert (error.id, error.is_serious()) == ("cms_ai_images.E002", True)
    assert "nowhere" in error.msg
    assert error.hint


def test_missing_queues_are_a_warning(settings) -> None:
    settings.RQ_QUEUES = {"default": {"URL": django_settings.REDIS_URL}}
    (warning,) = check_settings()
    assert (warning.id, warning.is_serious()) == ("cms_ai_images.W001", False)
    assert all(name in warning.hint for name in ("images-high", "images-normal", "images-low"))


def test_fallbacks_are_within_their_own_limits() -> None:
    assert set(FALLBACK_PARAMETERS) == set(FALLBACK_LIMITS)
    for name, value in FALLBACK_PARAMETERS.items():
        low, high = FALLBACK_LIMITS[name]
        assert low <= value <= high


def test_it_warns_when_filer_would_drop_the_options_of_the_default_storage(settings):
    assert check_settings() == []
    bucket = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {"bucket_name": "library"}}
    settings.STORAGES = {**settings.STORAGES, "default": bucket}
    settings.FILER_STORAGES = {}
    assert [message.id for message in check_settings()] == ["cms_ai_images.W002"]
    settings.FILER_STORAGES = {"public": {"main": {"ENGINE": bucket["BACKEND"], "OPTIONS": bucket["OPTIONS"]}}}
    assert check_settings() == []
