"""The options that make a model faster: they change no picture, and what cannot be used is named."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import ModelMixin

from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.exceptions import ModelOptionInvalid

from .test_backends import Record, draw
from .test_diffusers_backend import HAS_GPU, ROUNDING, any_backend, backend, folders, loaded, pixels

__all__ = ["any_backend", "folders", "loaded"]


def load(folder: Path, **options: Any) -> DiffusersBackend:
    tuned = backend(folder, dtype="float32", options=options)
    tuned.load()
    return tuned


@pytest.mark.parametrize("name", ["sdxl", "z_image"])
def test_channels_last_changes_no_picture(
    folders: dict[str, Path], loaded: dict[str, DiffusersBackend], name: str
) -> None:
    tuned = load(folders[name], channels_last=True)
    convolutions = [weight for weight in tuned.pipeline.vae.parameters() if weight.ndim == 4 and weight.shape[-1] > 1]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in convolutions)
    [one], [other] = pixels(draw(tuned)), pixels(draw(loaded[name]))
    assert np.abs(one - other).max() <= ROUNDING


def test_attention_backend_changes_no_picture(folders: dict[str, Path], loaded: dict[str, DiffusersBackend]) -> None:
    tuned = load(folders["z_image"], attention_backend="native")
    processor = tuned.pipeline.transformer.layers[0].attention.processor
    assert processor._attention_backend == "native"
    [one], [other] = pixels(draw(tuned)), pixels(draw(loaded["z_image"]))
    assert np.abs(one - other).max() <= ROUNDING


def test_warm_up_draws_each_size_before_anybody_waits(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[int, int, int, float]] = []
    original = DiffusersBackend._draw

    def spy(self: DiffusersBackend, shots: Any, reporter: Any) -> Any:
        each = shots[0].parameters
        drawn.append((each.width, each.height, len(shots), each.guidance_scale))
        return original(self, shots, reporter)

    monkeypatch.setattr(DiffusersBackend, "_draw", spy)
    tuned = load(folders["stable_diffusion"], warmup_sizes=[[64, 32], [32, 64]], warmup_guidance_scale=4)
    assert drawn == [(64, 32, 1, 4.0), (32, 64, 1, 4.0)]
    assert len(tuned.texts) == 0
    record = Record()
    draw(tuned, record)
    assert record.steps == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"compile": True}, '“compile” of the model “tiny” cannot be used: True is not "regional"'),
        ({"compile": "whole"}, "compile"),
        ({"attention_backend": "fast"}, "attention_backend"),
        ({"attention_backend": "flash_hub"}, "'flash_hub' is not one of native"),
        ({"channels_last": "yes"}, "channels_last"),
        ({"channels_last": 1}, "channels_last"),
        ({"warmup_sizes": [[64]]}, "warmup_sizes"),
        ({"warmup_sizes": "64x64"}, "warmup_sizes"),
        ({"warmup_sizes": [[64, -64]]}, "warmup_sizes"),
        ({"warmup_guidance_scale": "high"}, "warmup_guidance_scale"),
    ],
)
def test_option_that_cannot_be_used_is_named(folders: dict[str, Path], options: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelOptionInvalid, match=words):
        load(folders["z_image"], **options)


@pytest.mark.skipif(HAS_GPU, reason="may be installed here")
def test_attention_backend_that_is_not_installed_is_named(folders: dict[str, Path]) -> None:
    tiny = backend(folders["z_image"], options={"attention_backend": "sage"})
    with pytest.raises(ModelOptionInvalid, match=r"attention_backend.*sage"):
        tiny.load()
    assert tiny.pipeline is None


def test_options_of_others_are_left_alone_aloud(folders: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    load(folders["stable_diffusion"], chanels_last=True)
    assert "knows no option chanels_last" in caplog.text


@pytest.mark.parametrize(("name", "network"), [("sdxl", "unet"), ("z_image", "transformer")])
def test_repeated_blocks_are_compiled_and_nothing_else(folders: dict[str, Path], name: str, network: str) -> None:
    tuned = load(folders[name], compile="regional")
    compiled = {type(each) for each in tuned.pipeline.components[network].modules() if each._compiled_call_impl}
    assert {each.__name__ for each in compiled} == set(tuned.pipeline.components[network]._repeated_blocks)


def test_network_without_repeated_blocks_cannot_be_compiled(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusers.UNet2DConditionModel._repeated_blocks", [])
    with pytest.raises(ModelOptionInvalid, match=r"“compile”.*_repeated_blocks"):
        load(folders["sdxl"], compile="regional")


@pytest.mark.skipif(not HAS_GPU, reason="the compiler takes more than a minute on a CPU")
@pytest.mark.parametrize("name", ["sdxl", "z_image"])
def test_compiled_model_draws_the_same(
    folders: dict[str, Path], loaded: dict[str, DiffusersBackend], name: str
) -> None:
    tuned = load(folders[name], compile="regional", warmup_sizes=[[64, 32]])
    [one], [other] = pixels(draw(tuned)), pixels(draw(loaded[name]))
    assert np.abs(one - other).max() <= ROUNDING


@pytest.mark.parametrize(("name", "guidance"), [("sdxl", 5.0), ("z_image", 0.0)])
def test_nothing_is_compiled_after_the_warm_up(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, name: str, guidance: float
) -> None:
    """It was, for the first batch of several and the first longer text.

    Graphs are counted here in place of compiling them, which takes a CPU more than a minute.
    """
    graphs: list[Any] = []

    def count(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    original = ModelMixin.compile_repeated_blocks
    monkeypatch.setattr(ModelMixin, "compile_repeated_blocks", lambda network: original(network, backend=count))
    torch.compiler.reset()
    tuned = load(folders[name], compile="regional", warmup_sizes=[[64, 32], [64, 64]], warmup_guidance_scale=guidance)
    compiled = len(graphs)
    assert compiled
    for prompt, pictures in itertools.product(["a fox", "a fox " * 20, "a fox " * 40], [1, 2, 3, 8]):
        draw(tuned, prompt=prompt, num_images=pictures, width=64, height=64, guidance_scale=guidance)
    assert len(graphs) == compiled
