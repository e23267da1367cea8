"""The registry, the dummy backend, and what importing either of them costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from cms_ai_images.backends import Backend, get_backend_class
from cms_ai_images.backends.dummy import DummyBackend
from cms_ai_images.exceptions import ModelFilesMissing, OutOfMemory, TaskCancelled, UnknownBackend
from cms_ai_images.types import MAX_SEED, GenerationParameters, ModelSpec


def parameters(**changes: object) -> GenerationParameters:
    """A small request."""
    values = {
        "operation": "text_to_image",
        "prompt": "a fox at sunset",
        "negative_prompt": "",
        "width": 64,
        "height": 32,
        "steps": 3,
        "guidance_scale": 4.0,
        "seed": 7,
        "num_images": 1,
        "output_format": "png",
    }
    return GenerationParameters(**{**values, **changes})


def dummy(**options: object) -> DummyBackend:
    return DummyBackend(ModelSpec(slug="dummy", source="", options=options))


def ignore_steps(done: int, total: int) -> None:
    """A step callback for tests that do not look at steps."""


# -- Registry ----------------------------------------------------------------------------------------------------------


def test_default_aliases_lead_to_backends() -> None:
    assert get_backend_class("dummy") is DummyBackend
    assert issubclass(get_backend_class("diffusers"), Backend)


def test_unknown_alias_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownBackend) as caught:
        get_backend_class("crystal-ball")
    assert "crystal-ball" in str(caught.value)
    assert "diffusers, dummy" in str(caught.value)


@pytest.mark.parametrize("path", ["cms_ai_images.backends.nowhere.Backend", "cms_ai_images.types.Status"])
def test_path_that_is_no_backend_is_a_configuration_error(path: str) -> None:
    with (
        override_settings(CMS_AI_IMAGES={"BACKENDS": {"broken": path}}),
        pytest.raises(ImproperlyConfigured, match=r"CMS_AI_IMAGES\['BACKENDS'\]\['broken'\]"),
    ):
        get_backend_class("broken")


def test_site_can_add_a_backend() -> None:
    path = "cms_ai_images.backends.dummy.DummyBackend"
    with override_settings(CMS_AI_IMAGES={"BACKENDS": {"mine": path}}):
        assert get_backend_class("mine") is DummyBackend
        assert get_backend_class("dummy") is DummyBackend


# -- Dummy -------------------------------------------------------------------------------------------------------------


def test_dummy_draws_what_was_asked_for_and_reports_each_step() -> None:
    steps: list[tuple[int, int]] = []
    pictures = dummy().generate(parameters(num_images=2, seed=MAX_SEED), lambda *step: steps.append(step))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert [picture.seed for picture in pictures] == [MAX_SEED, 0]
    assert {(picture.image.mode, picture.image.size) for picture in pictures} == {("RGB", (64, 32))}


def test_dummy_picture_depends_on_prompt_and_seed_alone() -> None:
    def pixels(**changes: object) -> bytes:
        return dummy().generate(parameters(**changes), ignore_steps)[0].image.tobytes()

    assert pixels() == pixels(steps=1, guidance_scale=0.0)
    assert pixels() != pixels(seed=8)
    assert pixels() != pixels(prompt="a cat at sunset")
    batch = dummy().generate(parameters(num_images=2), ignore_steps)
    assert batch[1].image.tobytes() == pixels(seed=8)


def test_dummy_takes_its_time() -> None:
    start = time.monotonic()
    dummy(step_seconds=0.05).generate(parameters(), ignore_steps)
    assert time.monotonic() - start >= 0.15


def test_dummy_rehearses_failures() -> None:
    with pytest.raises(ModelFilesMissing, match="dummy"):
        dummy(fail="model_files_missing").generate(parameters(), ignore_steps)
    with pytest.raises(OutOfMemory):
        dummy(fail="out_of_memory").generate(parameters(), ignore_steps)
    with pytest.raises(ValueError, match="no_such_code"):
        dummy(fail="no_such_code").generate(parameters(), ignore_steps)


def test_dummy_stops_when_the_callback_raises() -> None:
    stop = TaskCancelled()
    steps: list[int] = []

    def cancel_at_second(done: int, total: int) -> None:
        steps.append(done)
        if done == 2:
            raise stop

    with pytest.raises(TaskCancelled) as caught:
        dummy().generate(parameters(), cancel_at_second)
    assert caught.value is stop
    assert steps == [1, 2]


# -- Imports -----------------------------------------------------------------------------------------------------------

HEAVY = ["torch", "diffusers", "transformers", "accelerate", "safetensors", "onnxruntime"]


def run_python(code: str, **environment: str) -> object:
    """What a fresh interpreter with a bare Django printed, as JSON."""
    prelude = "import django, json, sys\nfrom django.conf import settings\nsettings.configure(USE_I18N=False)\n"
    process = subprocess.run(
        [sys.executable, "-c", prelude + code],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(process.stdout)


def test_importing_the_backends_imports_nothing_heavy() -> None:
    loaded = run_python(
        "import cms_ai_images.backends, cms_ai_images.backends.dummy, cms_ai_images.backends.diffusers\n"
        f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )
    assert loaded == []


def test_missing_library_is_named_with_the_extra_that_brings_it() -> None:
    error = run_python(
        """
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Absent())
django.setup()
from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.exceptions import BackendNotInstalled
from cms_ai_images.types import ModelSpec
try:
    DiffusersBackend(ModelSpec(slug="tiny", source="/nowhere")).load()
except BackendNotInstalled as error:
    print(json.dumps([error.code, str(error), type(error.__cause__).__name__]))
"""
    )
    assert error == [
        "backend_not_installed",
        "The worker lacks a library (torch). Install cms-ai-images[worker] there.",
        "ModuleNotFoundError",
    ]
