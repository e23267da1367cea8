"""What the tables themselves refuse, and what the admin is told before a worker would fail on it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from cms_ai_images.models import (
    CreditAccount,
    GeneratedImage,
    GenerationModel,
    GenerationTask,
    StylePresetVersion,
    Worker,
)
from cms_ai_images.types import MAX_SEED, GenerationParameters, Status

from .factories import make_image, make_model, make_preset, make_task, make_worker

pytestmark = pytest.mark.django_db


def refused(queryset: Any, **changes: Any) -> None:
    """The database itself says no."""
    with pytest.raises(IntegrityError), transaction.atomic():
        queryset.update(**changes)


# -- Tasks and pictures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [status for status in Status if status != Status.RUNNING])
def test_only_a_running_task_has_a_lease(status: Status) -> None:
    rows = GenerationTask.objects.filter(pk=make_task(status=status).pk)
    refused(rows, lease_expires_at=timezone.now())
    refused(rows, status=Status.RUNNING)


def test_running_task_always_has_a_lease() -> None:
    task = make_task(status=Status.RUNNING)
    rows = GenerationTask.objects.filter(pk=task.pk)
    refused(rows, lease_expires_at=None)
    refused(rows, status=Status.SUCCEEDED)
    assert rows.update(status=Status.SUCCEEDED, lease_expires_at=None) == 1


def test_unknown_words_are_refused(author: User) -> None:
    image = make_image(author)
    refused(GenerationTask.objects.filter(pk=image.task_id), status="paused")
    refused(GeneratedImage.objects.filter(pk=image.pk), review_state="lost")


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_seed_has_32_bits(author: User, seed: int) -> None:
    image = make_image(author)
    refused(GeneratedImage.objects.filter(pk=image.pk), seed=seed)
    assert GeneratedImage.objects.filter(pk=image.pk).update(seed=MAX_SEED) == 1


def test_task_has_one_picture_per_index(author: User) -> None:
    task = make_image(author).task
    make_image(task=task, index=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_image(task=task, index=1)


def test_task_says_what_it_is(author: User) -> None:
    task = make_task(author, prompt="a very " * 20 + "red apple", num_images=3, seed=MAX_SEED)
    assert str(task) == "Text to image: " + ("a very " * 20)[:60]
    assert isinstance(task.generation_parameters, GenerationParameters)
    assert task.generation_parameters.seeds == [MAX_SEED, 0, 1]
    assert [make_task(status=status).is_final for status in Status] == [False, False, True, True, True]
    assert str(make_image(author, index=2)) == "a red apple on the beach (3)"


def test_fence_is_the_current_claim() -> None:
    task = make_task(status=Status.RUNNING, attempt=4)
    assert (task.fence.task_id, task.fence.worker_id, task.fence.attempt) == (task.pk, task.worker.pk, 4)


def test_task_outlives_its_author_its_model_and_its_worker(author: User) -> None:
    task = make_task(author, make_model("short-lived"), status=Status.RUNNING)
    for gone in (author, task.model, task.worker):
        gone.delete()
    task.refresh_from_db()
    assert (task.user, task.model, task.worker, task.model_label) == (None, None, None, "Short lived")


# -- Versions and points -----------------------------------------------------------------------------------------------


def test_version_numbers_of_a_preset_are_unique() -> None:
    preset = make_preset()
    with pytest.raises(IntegrityError), transaction.atomic():
        StylePresetVersion.objects.create(preset=preset, number=1)


def test_account_is_one_user_s_or_one_group_s_and_never_below_zero(author: User) -> None:
    group = Group.objects.create(name="Sports")
    account = CreditAccount.objects.create(user=author, balance=1)
    CreditAccount.objects.create(group=group)
    rows = CreditAccount.objects.filter(pk=account.pk)
    refused(rows, balance=-1)
    refused(rows, group=Group.objects.create(name="Weather"))
    for fields in ({"user": author}, {"group": group}, {"user": author, "group": group}):
        with pytest.raises(IntegrityError), transaction.atomic():
            CreditAccount.objects.create(**fields)
    for account in (CreditAccount(), CreditAccount(user=author, group=group)):
        with pytest.raises(ValidationError) as caught:
            account.clean()
        assert set(caught.value.message_dict) == {"user", "group"}


# -- Workers -----------------------------------------------------------------------------------------------------------


def test_worker_lives_while_it_says_so(settings) -> None:
    settings.CMS_AI_IMAGES = {"WORKER_TIMEOUT_SECONDS": 30}
    now = timezone.now()
    living = make_worker(heartbeat_at=now - timedelta(seconds=20))
    silent = make_worker(heartbeat_at=now - timedelta(seconds=40))
    stopped = make_worker(stopped_at=now)
    assert list(Worker.objects.alive()) == [living]
    assert [worker.is_alive for worker in (living, silent, stopped)] == [True, False, False]


# -- Generation models -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("backend", "magic", "Known ones: diffusers, dummy"),
        ("sizes", [], "at least one [width, height] pair"),
        ("sizes", [[64]], "at least one"),
        ("sizes", [[64, 65]], "multiple of 8"),
        ("sizes", [[64, 0]], "from 8"),
        ("sizes", [[64, 99999992]], "to 8192"),
        ("sizes", {"64": 64}, "at least one"),
        ("sizes", [["64", "64"]], "whole numbers"),
        ("operations", [], "text_to_image"),
        ("operations", ["juggling"], "text_to_image"),
        ("operations", "text_to_image", "text_to_image"),
        ("operations", [["text_to_image"]], "text_to_image"),
        ("operations", ["text_to_image", "upscale"], "cannot do this: upscale. It can do: image_to_image, inpaint"),
        ("default_parameters", ["steps"], "JSON object"),
        ("default_parameters", {"steps": "many"}, "Cannot be used: steps"),
        ("default_parameters", {"steps": 2.5}, "Cannot be used: steps"),
        ("default_parameters", {"steps": True}, "Cannot be used: steps"),
        ("default_parameters", {"guidance_scale": None}, "Cannot be used: guidance_scale"),
        ("default_parameters", {"guidance_scale": float("nan")}, "Cannot be used: guidance_scale"),
        ("default_parameters", {"output_format": "bmp"}, "Cannot be used: output_format"),
        ("default_parameters", {"stepz": 3}, "Cannot be used: stepz"),
        ("default_parameters", {"steps": 151}, "from 1 to 150; it would be 151"),
        ("parameter_limits", {"steps": 5}, "[lowest, highest]"),
        ("parameter_limits", {"steps": [5, 1]}, "[lowest, highest]"),
        ("parameter_limits", {"steps": [1, float("inf")]}, "[lowest, highest]"),
        ("parameter_limits", [1, 5], "[lowest, highest]"),
        ("parameter_limits", {"stepz": [1, 5]}, "Cannot be used: stepz. Possible are steps 1–1000"),
        ("parameter_limits", {"steps": [0, 5]}, "Cannot be used: steps"),
        ("parameter_limits", {"steps": [1, 5.5]}, "Cannot be used: steps"),
        ("parameter_limits", {"guidance_scale": [-1, 5]}, "Cannot be used: guidance_scale"),
        ("parameter_limits", {"num_images": [1, 101]}, "Cannot be used: num_images"),
        ("options", {"max_batch": 0}, "from 1 to 1024"),
        ("options", {"max_batch": "8"}, "from 1 to 1024"),
        ("options", {"max_batch": True}, "from 1 to 1024"),
        ("options", {"max_batch": 1025}, "from 1 to 1024"),
        ("options", {"max_batch": {"large": 2}}, "from 1 to 1024"),
        ("options", {"max_batch": {"1024x1024": 0}}, "from 1 to 1024"),
        ("prices", {"text_to_image": {"standard": 1_000_001}}, "up to 1000000"),
        ("prices", {"text_to_image": 30}, "object of objects"),
        ("prices", {"text_to_image": {"standard": "cheap"}}, "object of objects"),
        ("prices", {"text_to_image": {"standard": -1}}, "object of objects"),
        ("prices", {"text-to-image": {"standard": 30}}, "text-to-image.standard"),
        ("prices", {"text_to_image": {"standard": 30, "hihg": 60}}, "text_to_image.hihg"),
        ("weights", {"file": "a.safetensors"}, "JSON list of objects"),
        ("weights", ["a.safetensors"], "JSON list of objects"),
        ("options", ["fast"], "JSON object"),
        ("options", {"speed": [float("nan")]}, "JSON object"),
    ],
)
def test_wrong_model_is_refused_at_its_field(field: str, value: Any, words: str) -> None:
    model = make_model()
    setattr(model, field, value)
    with pytest.raises(ValidationError) as caught:
        model.clean()
    assert list(caught.value.message_dict) == [field]
    assert words in " ".join(caught.value.message_dict[field])


def test_fallback_outside_the_limits_asks_for_a_default() -> None:
    model = make_model(default_parameters={}, parameter_limits={"steps": [1, 8]})
    with pytest.raises(ValidationError) as caught:
        model.clean()
    assert caught.value.message_dict == {
        "default_parameters": ["Set steps to a value from 1 to 8; it would be 20."],
    }
    model.default_parameters = {"steps": 8}
    model.clean()


def test_diffusers_needs_a_source() -> None:
    with pytest.raises(ValidationError) as caught:
        make_model(backend="diffusers").clean()
    assert list(caught.value.message_dict) == ["source"]


def test_right_model_passes_and_describes_itself() -> None:
    model = make_model(
        default_parameters={"steps": 9, "guidance_scale": 0, "output_format": "webp"},
        parameter_limits={"steps": [1, 9], "guidance_scale": [0, 1.5]},
        qualities={"high": {"steps": 9}},
        prices={"text_to_image": {"standard": 30, "high": 60}},
        weights=[{"file": "style.safetensors"}],
    )
    model.full_clean()
    assert (model.price("text_to_image"), model.price("text_to_image", "high"), model.price("inpaint")) == (30, 60, 0)
    assert model.default_size == (64, 64)
    assert model.spec().weights == ({"file": "style.safetensors"},)


@pytest.mark.parametrize("limit", [1, 1024, {"1024x768": 2, "default": 8}, {}])
def test_a_batch_limit_is_a_number_or_one_for_each_size(limit: Any) -> None:
    make_model(options={"max_batch": limit}).clean()


@pytest.mark.parametrize("field", ["weights", "options", "default_parameters", "parameter_limits", "prices"])
def test_emptied_box_means_the_default(field: str) -> None:
    model = make_model()
    setattr(model, field, None)  # what a form makes of an empty box
    model.full_clean()
    model.save()
    assert getattr(GenerationModel.objects.get(), field) in ([], {})
