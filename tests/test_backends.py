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
from PIL import Image, ImageChops

from cms_ai_images.backends import Backend, get_backend_class
from cms_ai_images.backends.dummy import DummyBackend
from cms_ai_images.exceptions import GenerationError, ModelFilesMissing, OutOfMemory, TaskCancelled, UnknownBackend
from cms_ai_images.types import (
    MAX_SEED,
    GeneratedPicture,
    GenerationParameters,
    ModelSpec,
    PreviewSource,
    StepCallback,
)


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


def draw(backend: Backend, on_step: StepCallback | None = None, **changes: object) -> list[GeneratedPicture]:
    """The pictures of one request on its own."""
    [pictures] = backend.generate([parameters(**changes)], on_step or ignore_steps)
    return pictures


def ignore_steps(step: int, total: int, previews: PreviewSource | None = None) -> None:
    """A step callback for tests that do not look at steps."""


class Record:
    """A step callback that keeps what it was told, and may stop the work."""

    def __init__(self, stop: BaseException | None = None, at: int = 1) -> None:
        self.steps: list[tuple[int, int]] = []
        self.stop, self.at = stop, at

    def __call__(self, step: int, total: int, previews: PreviewSource | None = None) -> None:
        self.steps.append((step, total))
        if self.stop is not None and step == self.at:
            raise self.stop


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
    record = Record()
    pictures = draw(dummy(), record, num_images=2, seed=MAX_SEED)
    assert record.steps == [(1, 3), (2, 3), (3, 3)]
    assert [picture.seed for picture in pictures] == [MAX_SEED, 0]
    assert {(picture.image.mode, picture.image.size) for picture in pictures} == {("RGB", (64, 32))}


def test_dummy_picture_depends_on_prompt_and_seed_alone() -> None:
    def pixels(**changes: object) -> bytes:
        return draw(dummy(), **changes)[0].image.tobytes()

    assert pixels() == pixels(steps=1, guidance_scale=0.0)
    assert pixels() != pixels(seed=8)
    assert pixels() != pixels(prompt="a cat at sunset")
    assert draw(dummy(), num_images=2)[1].image.tobytes() == pixels(seed=8)


def test_dummy_draws_several_requests_in_the_time_of_one() -> None:
    requests = [parameters(num_images=2), parameters(prompt="a cat", seed=3), parameters(negative_prompt="rain")]
    record = Record()
    start = time.monotonic()
    lists = dummy(step_seconds=0.05).generate(requests, record)
    assert 0.15 <= time.monotonic() - start < 0.3
    assert record.steps == [(1, 3), (2, 3), (3, 3)]
    alone = [dummy().generate([each], ignore_steps)[0] for each in requests]
    assert [[each.seed for each in pictures] for pictures in lists] == [[7, 8], [3], [7]]
    assert [[each.image.tobytes() for each in pictures] for pictures in lists] == [
        [each.image.tobytes() for each in pictures] for pictures in alone
    ]


def test_dummy_shows_small_pictures_when_asked() -> None:
    requests = [parameters(width=512, height=256, num_images=2), parameters(width=512, height=256, seed=1)]
    seen: list[list[list[Image.Image]]] = []

    def look(step: int, total: int, previews: PreviewSource | None = None) -> None:
        assert previews is not None
        if step == 2:
            seen.append(previews())

    final = dummy().generate(requests, look)
    assert [[each.size for each in images] for images in seen[0]] == [[(128, 64), (128, 64)], [(128, 64)]]
    small = final[0][1].image.resize((128, 64), Image.Resampling.BOX)
    assert max(high for _, high in ImageChops.difference(seen[0][0][1], small).getextrema()) <= 8


def test_dummy_takes_its_time() -> None:
    start = time.monotonic()
    draw(dummy(step_seconds=0.05))
    assert time.monotonic() - start >= 0.15


def test_dummy_rehearses_failures() -> None:
    with pytest.raises(ModelFilesMissing, match="dummy"):
        draw(dummy(fail="model_files_missing"))
    with pytest.raises(OutOfMemory):
        draw(dummy(fail="out_of_memory"))
    with pytest.raises(ValueError, match="no_such_code"):
        draw(dummy(fail="no_such_code"))


def test_dummy_rehearses_failures_of_batches() -> None:
    small = dummy(memory=3)
    assert len(draw(small, num_images=3)) == 3
    with pytest.raises(OutOfMemory):
        small.generate([parameters(num_images=2)] * 2, ignore_steps)
    picky = dummy(fail_prompt="poison")
    assert len(draw(picky)) == 1
    with pytest.raises(GenerationError) as caught:
        picky.generate([parameters(), parameters(prompt="a poisoned apple")], ignore_steps)
    assert type(caught.value) is GenerationError


def test_dummy_stops_when_the_callback_raises() -> None:
    stop = TaskCancelled()
    record = Record(stop, at=2)
    with pytest.raises(TaskCancelled) as caught:
        draw(dummy(), record)
    assert caught.value is stop
    assert record.steps == [(1, 3), (2, 3)]


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
