"""Which files the diffusers backend loads, and which it refuses: damaged, incomplete, or able to run code."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, StableDiffusionPipeline, UNet2DModel
from safetensors.torch import load_file, save_file

from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.exceptions import (
    AIImagesError,
    ModelFilesDamaged,
    ModelFilesMissing,
    OperationNotSupported,
    UnsafeWeights,
)
from cms_ai_images.types import ModelSpec

from . import tiny_pipelines
from .test_backends import draw, run_python
from .tiny_hub import COMMIT, TinyHub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound folder, to be damaged."""
    return tiny_pipelines.build_stable_diffusion(tmp_path / "model")


def backend(folder: Path, **spec: Any) -> DiffusersBackend:
    return DiffusersBackend(ModelSpec(slug="tiny", source=str(folder), **spec))


def load_fails(folder: Path, error: type[AIImagesError], **spec: Any) -> str:
    """The message of the error that loading ends with."""
    with pytest.raises(error) as caught:
        backend(folder, **spec).load()
    assert type(caught.value) is error
    return str(caught.value)


def rewrite_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_folder_of_a_picture_editing_pipeline_draws_from_text(folder: Path) -> None:
    rewrite_json(folder / "model_index.json", _class_name="StableDiffusionImg2ImgPipeline")
    tiny = backend(folder)
    assert len(draw(tiny)) == 1
    assert type(tiny.pipeline) is StableDiffusionPipeline


# -- Digests -----------------------------------------------------------------------------------------------------------


def write_sums(folder: Path, *, restore: str = "") -> None:
    """What `sha256sum` writes of all files, after the line that says how to get them back."""
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    lines = subprocess.run(["sha256sum", *names], cwd=folder, check=True, capture_output=True, text=True).stdout
    (folder / "SHA256SUMS").write_text((f"# restore: {restore}\n" if restore else "") + lines)


def test_a_folder_with_right_digests_is_loaded(folder: Path) -> None:
    write_sums(folder)
    assert len(draw(backend(folder))) == 1


def test_a_changed_bit_is_found_and_the_command_that_restores_the_file_is_named(folder: Path) -> None:
    write_sums(folder, restore="fetch-model tiny")
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    message = load_fails(folder, ModelFilesDamaged)
    assert "vae/diffusion_pytorch_model.safetensors" in message
    assert "fetch-model tiny" in message


def test_a_missing_file_is_found_by_its_digest(folder: Path) -> None:
    write_sums(folder)
    (folder / "unet" / "config.json").unlink()
    message = load_fails(folder, ModelFilesDamaged)
    assert "unet/config.json" in message
    assert "sha256sum --check SHA256SUMS" in message


# -- Refusing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "unet/diffusion_pytorch_model.bin", "old/deep/model.CKPT", "x.pt", "vae/x.pth", "x.pkl"],
)
def test_pickles_are_refused_wherever_they_lie(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\x80\x04.")
    assert name in load_fails(folder, UnsafeWeights)


def test_pickles_among_the_extra_weights_are_refused(folder: Path) -> None:
    assert "style.pt" in load_fails(folder, UnsafeWeights, weights=({"file": "/loras/style.pt"},))


def test_extra_weights_that_are_not_there_are_named(folder: Path) -> None:
    assert "no file style.safetensors" in load_fails(
        folder, ModelFilesMissing, weights=({"file": "style.safetensors"},)
    )


def test_pickle_under_a_false_name_is_refused(folder: Path) -> None:
    torch.save({"weight": torch.ones(3)}, folder / "unet/diffusion_pytorch_model.safetensors")
    assert "unet/diffusion_pytorch_model.safetensors" in load_fails(folder, ModelFilesMissing)


def test_missing_folder(tmp_path: Path) -> None:
    assert "no folder" in load_fails(tmp_path / "nowhere", ModelFilesMissing)


@pytest.mark.parametrize(
    "name", ["model_index.json", "unet", "tokenizer", "scheduler", "vae/diffusion_pytorch_model.safetensors"]
)
def test_missing_part_is_named(folder: Path, name: str) -> None:
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert name.split("/")[0] in load_fails(folder, ModelFilesMissing)


def test_damaged_index_is_named(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")
    assert "model_index.json" in load_fails(folder, ModelFilesMissing)


@pytest.mark.parametrize("kept", [0, 6, 200, 0.5])
def test_truncated_weights_are_named(folder: Path, kept: float) -> None:
    file = folder / "unet/diffusion_pytorch_model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    assert "unet/diffusion_pytorch_model.safetensors" in load_fails(folder, ModelFilesMissing)


def test_missing_shard_is_named(folder: Path) -> None:
    shards = {"weight_map": {"conv_in.weight": "diffusion_pytorch_model-00002-of-00002.safetensors"}}
    (folder / "unet/diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(shards))
    assert "model-00002-of-00002" in load_fails(folder, ModelFilesMissing)


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "conv_out.weight"),
        ("vae/diffusion_pytorch_model.safetensors", "decoder.conv_out.bias"),
        ("text_encoder/model.safetensors", "final_layer_norm.weight"),
    ],
)
def test_absent_weights_are_not_left_to_chance(folder: Path, file: str, key: str) -> None:
    weights = load_file(folder / file)
    [name] = [name for name in weights if name.endswith(key)]
    del weights[name]
    save_file(weights, folder / file, metadata={"format": "pt"})
    message = load_fails(folder, ModelFilesMissing)
    assert file.split("/")[0] in message
    assert key in message


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    file = folder / "unet/diffusion_pytorch_model.safetensors"
    save_file({**load_file(file), "conv_out.bias": torch.zeros(5)}, file, metadata={"format": "pt"})
    assert "conv_out.bias" in load_fails(folder, ModelFilesMissing)


@pytest.mark.parametrize(
    "index",
    [
        {"_class_name": ["my_pipeline", "MyPipeline"]},
        {"_class_name": "logging"},
        {"_class_name": "UNet2DConditionModel"},
        {"unet": ["subprocess", "Popen"]},
        {"unet": ["my_unet", "MyUNet"]},
        {"unet": ["diffusers_modules.local", "MyUNet"]},
    ],
)
def test_code_from_elsewhere_is_refused(folder: Path, index: dict[str, Any]) -> None:
    (folder / "my_pipeline.py").write_text("raise SystemExit('this ran')")
    (folder / "unet/my_unet.py").write_text("raise SystemExit('this ran')")
    rewrite_json(folder / "model_index.json", **index)
    assert "model_index.json" in load_fails(folder, UnsafeWeights)


def test_auto_class_may_not_follow_a_folders_own_code(folder: Path) -> None:
    rewrite_json(folder / "model_index.json", text_encoder=["transformers", "AutoModel"])
    rewrite_json(folder / "text_encoder/config.json", auto_map={"AutoModel": "mine.Mine"})
    assert "auto_map" in load_fails(folder, UnsafeWeights)


@pytest.mark.parametrize(
    "index",
    [
        {"unet": ["diffusers", "NoSuchClass"]},
        {"unet": ["transformers", "set_seed"]},
        {"unet": ["diffusers", "DiffusionPipeline"]},
        {"../vae": ["diffusers", "AutoencoderKL"]},
    ],
)
def test_strange_components_are_refused(folder: Path, index: dict[str, Any]) -> None:
    shutil.copytree(folder / "vae", folder.parent / "vae")
    rewrite_json(folder / "model_index.json", **index)
    assert next(iter(index)) in load_fails(folder, ModelFilesMissing)


def test_pipeline_that_does_not_draw_from_text_is_refused(tmp_path: Path) -> None:
    unet = UNet2DModel(
        sample_size=8,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    DDPMPipeline(unet=unet, scheduler=DDPMScheduler()).save_pretrained(tmp_path / "ddpm")
    load_fails(tmp_path / "ddpm", OperationNotSupported)


# -- The hub -----------------------------------------------------------------------------------------------------------

LOAD_FROM_HUB = """
django.setup()
from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.exceptions import ModelFilesMissing
from cms_ai_images.types import ModelSpec
outcomes = {}
for source in ["tiny/good", "tiny/pickled", "tiny/absent"]:
    backend = DiffusersBackend(ModelSpec(slug="hub", source=source))
    try:
        backend.load()
        outcomes[source] = backend.revision
    except ModelFilesMissing as error:
        outcomes[source] = str(error)
print(json.dumps(outcomes))
"""


def test_hub_gives_configuration_and_safetensors_alone(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "hub"
    good, pickled = root / "tiny/good", root / "tiny/pickled"
    # As many repositories are: the same weights also as pickles, and all of them once more in one large file.
    (folder / "unet/diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "whole.ckpt").write_bytes(b"a pickle")
    (folder / "whole.safetensors").write_bytes(b"large")
    shutil.copytree(folder, good)
    shutil.copytree(folder, pickled, ignore=shutil.ignore_patterns("*.safetensors"))
    with TinyHub(root) as hub:
        outcomes = run_python(LOAD_FROM_HUB, HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "cache"))
    assert isinstance(outcomes, dict)
    assert outcomes["tiny/good"] == COMMIT
    assert "safetensors" in outcomes["tiny/pickled"]
    assert "404 Not Found" in outcomes["tiny/absent"]
    weights = ["text_encoder/model", "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model"]
    fetched = sorted(name for name in hub.fetched if not name.endswith(".json"))
    assert fetched == [f"{name}.safetensors" for name in weights]
