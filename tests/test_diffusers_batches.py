"""Several requests in one call of a real pipeline of toy size: the same pictures as alone, and what memory allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.backends.diffusers.texts import TextCache
from cms_ai_images.exceptions import OutOfMemory, PictureBroken, PictureWithheld, TaskCancelled
from cms_ai_images.types import GenerationParameters

from . import tiny_pipelines
from .test_backends import Record, draw, ignore_steps, parameters
from .test_diffusers_backend import ROUNDING, OneAtATime, any_backend, backend, folders, fresh, loaded, pixels

__all__ = ["any_backend", "folders", "fresh", "loaded"]

SHORT, LONG = "a fox", "a fox that reads a newspaper on a bench in the rain, " * 4
MIXED = [
    parameters(prompt=SHORT, seed=1),
    parameters(prompt=LONG, seed=2, num_images=2, negative_prompt="blurry"),
    parameters(prompt="ein Fuchs 狐狸", seed=2**32 - 1, num_images=2),
    parameters(prompt=SHORT, seed=1, negative_prompt="a very long list of things that should not be seen here"),
]


class Calls:
    """Counts the calls of a network, and how many pictures each had; may play a memory that is too small."""

    def __init__(self, tiny: DiffusersBackend, fits: int = 1000) -> None:
        self.sizes: list[int] = []
        self.fits = fits
        network = tiny.pipeline.transformer if hasattr(tiny.pipeline, "transformer") else tiny.pipeline.unet
        self.hook = network.register_forward_pre_hook(self.count)

    def count(self, module: Any, inputs: tuple[Any, ...]) -> None:
        self.sizes.append(len(inputs[0]))
        if len(inputs[0]) > self.fits:
            torch.empty(2**50)


def assert_same(batch: list[Any], alone: list[Any]) -> None:
    assert [picture.seed for picture in batch] == [picture.seed for picture in alone]
    for one, other in zip(pixels(batch), pixels(alone), strict=True):
        assert np.abs(one - other).max() <= ROUNDING


@pytest.mark.parametrize("guidance_scale", [0.0, 4.0])
def test_pictures_are_the_same_whatever_they_are_drawn_with(
    any_backend: DiffusersBackend, guidance_scale: float
) -> None:
    requests = [parameters(**{**each.as_dict(), "guidance_scale": guidance_scale}) for each in MIXED]
    lists = any_backend.generate(requests, ignore_steps)
    assert [len(pictures) for pictures in lists] == [1, 2, 2, 1]
    any_backend.texts.clear()
    for request, pictures in zip(requests, lists, strict=True):
        assert_same(pictures, any_backend.generate([request], ignore_steps)[0])
    # The comparison means something: other words, other seeds and other negative words make other pictures.
    drawn = [one for pictures in lists for one in pixels(pictures)]
    different = drawn[:5] if guidance_scale == 0.0 else drawn
    for index, one in enumerate(different):
        assert all(np.abs(one - other).max() > 3 * ROUNDING for other in different[:index])


@pytest.mark.parametrize(("name", "calls"), [("stable_diffusion", [6]), ("sdxl", [6]), ("z_image", [2, 2, 2])])
def test_one_call_for_all_that_fits_together(loaded: dict[str, DiffusersBackend], name: str, calls: list[int]) -> None:
    tiny = loaded[name]
    requests = [parameters(**{**each.as_dict(), "guidance_scale": 0.0}) for each in MIXED]
    requests[2] = parameters(**{**requests[2].as_dict(), "prompt": "a" * 60})
    record, counted = Record(), Calls(tiny)
    tiny.generate(requests, record)
    counted.hook.remove()
    assert counted.sizes == [size for size in calls for _ in range(3)]
    total = 3 * len(calls)
    assert record.steps == [(step, total) for step in range(1, total + 1)]
    assert len({tiny.batch_key(each) for each in requests}) == len(calls)


def test_z_image_keeps_the_length_of_negative_texts_apart_where_they_count(loaded: dict[str, DiffusersBackend]) -> None:
    tiny = loaded["z_image"]

    def key(**changes: Any) -> Any:
        return tiny.batch_key(parameters(**changes))

    assert key(prompt="fox") == key(prompt="cat", seed=3, num_images=4)
    assert key(prompt="fox") != key(prompt=LONG)
    assert key(negative_prompt="bad") != key(negative_prompt=LONG)
    assert key(negative_prompt="bad", guidance_scale=0.0) == key(negative_prompt=LONG, guidance_scale=0.0)


def test_class_that_nobody_has_looked_at_draws_equal_texts_together_only(fresh: DiffusersBackend) -> None:
    class Unknown(type(fresh.pipeline)):  # type: ignore[misc]
        """Behaves like its parent, but who knows."""

    before = fresh.generate(MIXED, ignore_steps)
    fresh.adopt(Unknown(**fresh.pipeline.components, requires_safety_checker=False))
    counted = Calls(fresh)
    requests = [*MIXED, parameters(prompt=SHORT, seed=9)]
    after = fresh.generate(requests, ignore_steps)
    assert counted.sizes == [2 * size for size in (2, 2, 2, 1) for _ in range(3)]
    assert len({fresh.batch_key(each) for each in requests}) == 4
    for one, other in zip(before, after, strict=False):
        assert_same(one, other)


def test_pipeline_of_single_pictures_is_given_no_company(fresh: DiffusersBackend) -> None:
    fresh.adopt(OneAtATime(**fresh.pipeline.components, requires_safety_checker=False))
    assert fresh.batch_key(parameters()) != fresh.batch_key(parameters(seed=8))
    lists = fresh.generate([parameters(), parameters(prompt="a cat", num_images=2)], ignore_steps)
    assert [len(pictures) for pictures in lists] == [1, 2]


def test_model_that_is_not_loaded_promises_no_batches() -> None:
    unloaded = backend(Path("nowhere"))
    assert unloaded.batch_key(parameters()) != unloaded.batch_key(parameters(seed=8))


# -- Memory ------------------------------------------------------------------------------------------------------------


def test_call_that_runs_out_of_memory_is_halved(fresh: DiffusersBackend, caplog: pytest.LogCaptureFixture) -> None:
    requests = [parameters(num_images=3), parameters(prompt="a cat", num_images=4)]
    expected = fresh.generate(requests, ignore_steps)
    counted, record = Calls(fresh, fits=4), Record()  # with guidance, a picture counts twice
    for batch, alone in zip(fresh.generate(requests, record), expected, strict=True):
        assert_same(batch, alone)
    assert counted.sizes == [14, 8, *[4] * 6, 6, *[4] * 3, *[2] * 3]
    assert [step for step, _ in record.steps] == list(range(1, 13))
    assert record.steps[-1] == (12, 12)
    assert "7 pictures of 64 × 32 do not fit into memory; from now on at most 4 at once" in caplog.text
    # It has learned, for this size.
    counted.sizes.clear()
    fresh.generate(requests, ignore_steps)
    assert counted.sizes == [4] * 9 + [2] * 3


def test_memory_that_holds_no_single_picture_is_said(fresh: DiffusersBackend) -> None:
    counted = Calls(fresh, fits=1)
    with pytest.raises(OutOfMemory):
        fresh.generate([parameters(num_images=4)], ignore_steps)
    assert counted.sizes == [8, 4, 2]
    counted.hook.remove()
    assert len(draw(fresh)) == 1


# -- Failing and stopping in company -----------------------------------------------------------------------------------


def test_cancelled_batch_stops_at_once(any_backend: DiffusersBackend) -> None:
    stop = TaskCancelled()
    record = Record(stop, at=2)
    with pytest.raises(TaskCancelled) as caught:
        any_backend.generate([parameters(), parameters(prompt="a cat")], record)
    assert caught.value is stop
    assert len(record.steps) == 2


def test_broken_picture_fails_its_batch(fresh: DiffusersBackend) -> None:
    vae = fresh.pipeline.vae

    def spoil(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        output[0] = float("nan")
        return output

    vae.decoder.register_forward_hook(spoil)
    with pytest.raises(PictureBroken):
        fresh.generate([parameters(), parameters(prompt="a cat")], ignore_steps)


def test_request_whose_pictures_are_withheld_fails_its_batch(tmp_path: Path) -> None:
    strict = backend(tiny_pipelines.build_stable_diffusion(tmp_path, safety_threshold=-1.0))
    with pytest.raises(PictureWithheld):
        strict.generate([parameters(), parameters(prompt="a cat")], ignore_steps)


# -- Texts -------------------------------------------------------------------------------------------------------------


def encoder_calls(tiny: DiffusersBackend) -> list[int]:
    """A list that grows with each call of the text encoder."""
    calls: list[int] = []
    tiny.pipeline.text_encoder.register_forward_pre_hook(lambda module, inputs: calls.append(1))
    return calls


def test_texts_are_encoded_once(fresh: DiffusersBackend) -> None:
    calls = encoder_calls(fresh)
    [first] = draw(fresh, negative_prompt="blurry")
    assert len(calls) == 2
    [second] = draw(fresh, negative_prompt="blurry")
    assert len(calls) == 2
    assert first.image.tobytes() == second.image.tobytes()
    fresh.texts.clear()
    assert draw(fresh, negative_prompt="blurry")[0].image.tobytes() == first.image.tobytes()
    assert len(calls) == 4


def test_pictures_are_the_same_as_without_encoding_apart(any_backend: DiffusersBackend) -> None:
    texts = any_backend.texts
    for changes in ({}, {"negative_prompt": "blurry"}, {"guidance_scale": 0.0}, {"num_images": 2}):
        apart = draw(any_backend, **changes)
        any_backend.texts = TextCache(any_backend.pipeline)
        any_backend.texts.outputs = ()
        try:
            assert_same(apart, draw(any_backend, **changes))
        finally:
            any_backend.texts = texts


def test_guidance_and_negative_text_make_another_entry_only_where_they_count(any_backend: DiffusersBackend) -> None:
    any_backend.texts.clear()

    def entries(**changes: Any) -> int:
        any_backend.texts.encode(parameters(**changes))
        return len(any_backend.texts)

    with torch.inference_mode():
        assert entries() == 1
        assert entries(seed=99, guidance_scale=9.0) == 1
        assert entries(negative_prompt="rain") == 2
        assert entries(guidance_scale=0.0) == 3
        assert entries(guidance_scale=0.0, negative_prompt="rain") == 3
        assert entries(prompt="a cat") == 4


def test_oldest_text_is_forgotten(fresh: DiffusersBackend) -> None:
    fresh.texts.entries = 2

    def encode(prompt: str) -> int:
        fresh.texts.encode(GenerationParameters(**{**parameters().as_dict(), "prompt": prompt}))
        return fresh.texts.hits

    with torch.inference_mode():
        assert [encode(prompt) for prompt in ("a", "b", "a", "c", "a", "b")] == [0, 0, 1, 1, 2, 2]
    assert len(fresh.texts) == 2


def test_unloading_forgets_the_texts(fresh: DiffusersBackend) -> None:
    draw(fresh)
    texts = fresh.texts
    assert len(texts) == 1
    fresh.unload()
    assert len(texts) == 0
    assert fresh.texts is None
