"""LoRAs and replacement weights: merged exactly, whatever a trainer calls them, or refused with the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.exceptions import ModelFilesMissing, UnsafeWeights, WeightsDoNotFit

from . import tiny_pipelines
from .test_backends import draw, run_python
from .test_diffusers_backend import backend
from .tiny_hub import TinyHub

Tensors = dict[str, torch.Tensor]
ATTENTION = "down_blocks.1.attentions.0.transformer_blocks.0.attn1"


@pytest.fixture(scope="module")
def stable_diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipelines.build_stable_diffusion(tmp_path_factory.mktemp("stable_diffusion") / "model")


@pytest.fixture(scope="module")
def z_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipelines.build_z_image(tmp_path_factory.mktemp("z_image") / "model")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "style.safetensors"


def load(folder: Path, *weights: dict[str, Any]) -> DiffusersBackend:
    tiny = backend(folder, weights=weights, dtype="float32")
    tiny.load()
    return tiny


def lora(tensors: Tensors, path: str, weight: torch.Tensor, *, rank: int = 2, style: str = "peft") -> torch.Tensor:
    """Add a LoRA for one weight under a trainer's names, and return what it adds to the weight."""
    down, up = {"peft": ("lora_A", "lora_B"), "kohya": ("lora_down", "lora_up"), "old": ("lora.down", "lora.up")}[style]
    columns = torch.randn(rank, *weight.shape[1:])
    rows = torch.randn(len(weight), rank, *[1] * (weight.ndim - 2))
    tensors[f"{path}.{down}.weight"], tensors[f"{path}.{up}.weight"] = columns, rows
    return (rows.flatten(1) @ columns.flatten(1)).reshape(weight.shape)


def weight_of(tiny: DiffusersBackend, component: str, path: str) -> torch.Tensor:
    return getattr(tiny.pipeline, component).get_submodule(path).weight.detach().cpu()


# -- LoRA --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["peft", "kohya", "old"])
@pytest.mark.parametrize(
    "prefix", ["transformer.", "model.", "diffusion_model.", "model.diffusion_model.", "base_model.model.", ""]
)
def test_lora_is_merged_under_any_prefix(z_image: Path, file: Path, prefix: str, style: str) -> None:
    plain = load(z_image)
    tensors: Tensors = {}
    paths = ["layers.0.attention.to_q", "layers.0.feed_forward.w2", "context_refiner.0.attention.to_out.0"]
    added = {path: lora(tensors, prefix + path, weight_of(plain, "transformer", path), style=style) for path in paths}
    save_file(tensors, file)
    changed = load(z_image, {"kind": "lora", "source": str(file.parent), "file": file.name, "scale": 0.5})
    for path in paths:
        expected = weight_of(plain, "transformer", path) + 0.5 * added[path]
        assert torch.allclose(weight_of(changed, "transformer", path), expected, atol=1e-6)
    untouched = "layers.0.attention.to_k"
    assert torch.equal(weight_of(plain, "transformer", untouched), weight_of(changed, "transformer", untouched))
    assert draw(plain)[0].image.tobytes() != draw(changed)[0].image.tobytes()


def test_loras_of_convolutions_and_text_encoders_and_two_at_once(stable_diffusion: Path, file: Path) -> None:
    plain = load(stable_diffusion)
    tensors: Tensors = {}
    convolution = "down_blocks.0.resnets.0.conv1"
    [encoder] = [name for name, _ in plain.pipeline.text_encoder.named_modules() if name.endswith("layers.1.mlp.fc1")]
    added = lora(tensors, f"unet.{convolution}", weight_of(plain, "unet", convolution))
    added_text = lora(tensors, f"text_encoder.{encoder}", weight_of(plain, "text_encoder", encoder), rank=4)
    tensors[f"text_encoder.{encoder}.alpha"] = torch.tensor(2.0)
    save_file(tensors, file)
    entry = {"source": str(file)}
    changed = load(stable_diffusion, entry, {**entry, "scale": -0.25})
    expected = weight_of(plain, "unet", convolution) + 0.75 * added
    assert torch.allclose(weight_of(changed, "unet", convolution), expected, atol=1e-5)
    expected = weight_of(plain, "text_encoder", encoder) + 0.75 * 2.0 / 4 * added_text
    assert torch.allclose(weight_of(changed, "text_encoder", encoder), expected, atol=1e-5)


def test_lora_in_another_trainers_names(stable_diffusion: Path, file: Path) -> None:
    plain = load(stable_diffusion)
    tensors: Tensors = {}
    paths = [f"{ATTENTION}.{part}" for part in ("to_q", "to_k", "to_out.0")]
    names = [f"lora_unet_{path.replace('.', '_')}" for path in paths]
    added = [
        lora(tensors, name, weight_of(plain, "unet", path), style="kohya")
        for name, path in zip(names, paths, strict=True)
    ]
    [encoder] = [name for name, _ in plain.pipeline.text_encoder.named_modules() if name.endswith("layers.1.mlp.fc1")]
    names.append("lora_te_text_model_encoder_layers_1_mlp_fc1")
    added_text = lora(tensors, names[-1], weight_of(plain, "text_encoder", encoder), style="kohya")
    tensors |= {f"{name}.alpha": torch.tensor(1.0) for name in names}
    save_file(tensors, file)
    changed = load(stable_diffusion, {"kind": "lora", "source": str(file)})
    for path, each in zip(paths, added, strict=True):
        expected = weight_of(plain, "unet", path) + 1.0 / 2 * each
        assert torch.allclose(weight_of(changed, "unet", path), expected, atol=1e-5)
    expected = weight_of(plain, "text_encoder", encoder) + 1.0 / 2 * added_text
    assert torch.allclose(weight_of(changed, "text_encoder", encoder), expected, atol=1e-5)


def test_lora_for_another_model_is_refused_with_the_figures(stable_diffusion: Path, z_image: Path, file: Path) -> None:
    plain = load(stable_diffusion)
    tensors: Tensors = {}
    for part in ("to_q", "to_k", "to_v"):
        lora(tensors, f"unet.{ATTENTION}.{part}", weight_of(plain, "unet", f"{ATTENTION}.{part}"))
    save_file(tensors, file)
    with pytest.raises(WeightsDoNotFit, match=r"style.safetensors .* “tiny”: 0 of its 6 weights fit"):
        load(z_image, {"source": str(file)})
    # Right names are not enough: a rank that does not fit, a half that is missing.
    tensors[f"unet.{ATTENTION}.to_q.lora_A.weight"] = torch.zeros(2, 5)
    del tensors[f"unet.{ATTENTION}.to_k.lora_B.weight"]
    save_file(tensors, file)
    with pytest.raises(WeightsDoNotFit, match="2 of its 5 weights fit"):
        load(stable_diffusion, {"source": str(file)})


def test_a_few_foreign_keys_are_borne(stable_diffusion: Path, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = load(stable_diffusion)
    tensors: Tensors = {"note": torch.zeros(1)}
    for part in ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "attn2.to_q"):
        path = f"{ATTENTION.removesuffix('.attn1')}.{part}"
        lora(tensors, path, weight_of(plain, "unet", path))
    save_file(tensors, file)
    load(stable_diffusion, {"source": str(file)})
    assert "1 of 11 weights in style.safetensors mean nothing here" in caplog.text


# -- Replacements ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "model.", "model.diffusion_model.", "transformer."])
def test_network_is_replaced(z_image: Path, file: Path, prefix: str) -> None:
    original = load_file(z_image / "transformer/diffusion_pytorch_model.safetensors")
    save_file({prefix + key: tensor * 2 for key, tensor in original.items()}, file)
    changed = load(z_image, {"kind": "transformer", "source": str(file.parent), "file": file.name})
    state = changed.pipeline.transformer.state_dict()
    assert len(state) == len(original)
    assert all(torch.equal(state[key].cpu(), 2 * tensor) for key, tensor in original.items())


def test_part_of_a_network_is_replaced(stable_diffusion: Path, file: Path) -> None:
    save_file({"decoder.conv_out.bias": torch.tensor([1.0, 2.0, 3.0])}, file)
    vae = load(stable_diffusion, {"kind": "vae", "source": str(file)}).pipeline.vae
    assert vae.decoder.conv_out.bias.tolist() == [1, 2, 3]


def test_replacement_of_another_shape_or_name_is_refused(stable_diffusion: Path, file: Path) -> None:
    save_file({"decoder.conv_out.bias": torch.zeros(4), "decoder.conv_in.bias": torch.zeros(8)}, file)
    with pytest.raises(WeightsDoNotFit, match="1 of its 2 weights fit"):
        load(stable_diffusion, {"kind": "vae", "source": str(file)})
    save_file({"elsewhere": torch.zeros(4)}, file)
    with pytest.raises(WeightsDoNotFit, match="0 of its 1 weights fit"):
        load(stable_diffusion, {"kind": "unet", "source": str(file)})


# -- Entries that cannot be used ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "error", "words"),
    [
        ({"kind": "transformer"}, ModelFilesMissing, "no component transformer to replace"),
        ({"kind": "tokenizer"}, ModelFilesMissing, "no component tokenizer to replace"),
        ({"kind": "scheduler"}, ModelFilesMissing, "no component scheduler to replace"),
        ({"scale": "much"}, ModelFilesMissing, "scale much is not a number"),
        ({"file": "absent.safetensors"}, ModelFilesMissing, "absent.safetensors"),
        ({"file": "damaged.safetensors"}, ModelFilesMissing, "damaged.safetensors"),
        ({"file": "pickle.pt"}, UnsafeWeights, "pickle.pt"),
        ({"file": "text.gguf"}, ModelFilesMissing, "text.gguf: not a safetensors file"),
    ],
)
def test_unusable_entry_is_named(
    stable_diffusion: Path, file: Path, entry: dict[str, Any], error: type[Exception], words: str
) -> None:
    file.with_name("damaged.safetensors").write_bytes(b"not a header")
    file.with_name("text.gguf").write_bytes(b"GGUF")
    file.with_name("pickle.pt").write_bytes(b"\x80\x04.")
    save_file({"unet.x.lora_A.weight": torch.zeros(1)}, file)
    with pytest.raises(error, match=words) as caught:
        load(stable_diffusion, {"source": str(file.parent), "file": file.name, **entry})
    assert type(caught.value) is error


LOAD_WITH_WEIGHTS_FROM_HUB = """
django.setup()
from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.exceptions import ModelFilesMissing
from cms_ai_images.types import ModelSpec
outcomes = []
for name in ["bias.safetensors", "absent.safetensors"]:
    weights = ({{"kind": "vae", "source": "tiny/style", "file": name}},)
    backend = DiffusersBackend(ModelSpec(slug="hub", source={source!r}, weights=weights))
    try:
        backend.load()
        outcomes.append(backend.pipeline.vae.decoder.conv_out.bias.tolist())
    except ModelFilesMissing as error:
        outcomes.append(str(error))
print(json.dumps(outcomes))
"""


def test_weights_come_from_the_hub(stable_diffusion: Path, tmp_path: Path) -> None:
    root = tmp_path / "hub"
    (root / "tiny/style").mkdir(parents=True)
    save_file({"decoder.conv_out.bias": torch.tensor([1.0, 2.0, 3.0])}, root / "tiny/style/bias.safetensors")
    with TinyHub(root) as hub:
        code = LOAD_WITH_WEIGHTS_FROM_HUB.format(source=str(stable_diffusion))
        outcomes = run_python(code, HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "cache"))
    assert isinstance(outcomes, list)
    assert outcomes[0] == [1, 2, 3]
    assert "tiny/style/absent.safetensors" in outcomes[1]
