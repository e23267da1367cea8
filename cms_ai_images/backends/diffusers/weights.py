"""Extra weights of a model: LoRAs, and replacements for whole networks.

Both are merged into the pipeline's own weights when it is loaded: drawing then costs nothing more, and whatever shares
or compiles the networks need not know. Files come from many trainers, who name the same weight differently, and a name
that is not found is silently skipped by most loaders: here it is counted, and too few are refused.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cms_ai_images.exceptions import ModelFilesMissing, WeightsDoNotFit
from cms_ai_images.types import ModelSpec

from .errors import summary
from .source import locate_weights

logger = logging.getLogger(__name__)

LORA = "lora"
MINIMUM_SHARE = 0.9
"""Of a file's keys, how many must be found. A trainer may add a few that mean nothing here; more is another model."""
PREFIXES = (
    "model.diffusion_model.",
    "diffusion_model.",
    "base_model.model.",
    "transformer.",
    "unet.",
    "text_model.",
    "model.",
)
"""What trainers and other programs put before a network's own names."""
TEXT_ENCODERS = ("text_encoder_2", "text_encoder_3", "text_encoder")
HALF = re.compile(r"(.+)\.(?:lora_|lora\.|lora_linear_layer\.)(A|B|down|up)(?:\.default)?\.weight(\.alpha)?")
"""A key of a LoRA: the path of a module, and which half it is. The scaling factor `alpha` is `path.alpha`, or belongs
to the lower half where diffusers has converted it."""

Tensors = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """One weight to be changed: `scale * up @ down` is added to a module's, as LoRA (arXiv:2106.09685) has it."""

    module: Any
    down: Any
    up: Any
    scale: float
    keys: int

    def merge(self) -> None:
        """Add it, in single precision; the sum is rounded once."""
        import torch

        weight = self.module.weight
        with torch.no_grad():
            delta = self.up.float().flatten(1) @ self.down.float().flatten(1)
            weight.copy_(weight.float() + self.scale * delta.reshape(weight.shape).to(weight.device))


def apply_weights(pipeline: Any, spec: ModelSpec) -> None:
    """Merge every entry of `spec.weights`, in order, into a pipeline that is still on the CPU.

    An entry is {"kind": "lora" or a component such as "transformer", "unet" or "vae", "source": folder, file or hub id,
    "file": name, "scale": 1.0, "revision": ""}. Raises `WeightsDoNotFit`, `UnsafeWeights` or `ModelFilesMissing`.
    """
    for number, entry in enumerate(spec.weights):
        kind = entry.get("kind", LORA)
        scale = entry.get("scale", 1.0)
        network = None if kind == LORA else getattr(pipeline, kind, None) if kind in pipeline.components else None
        if kind != LORA and not hasattr(network, "load_state_dict"):
            raise ModelFilesMissing(model=spec.slug, detail=f"weights {number}: no component {kind} to replace")
        if isinstance(scale, bool) or not isinstance(scale, int | float):
            raise ModelFilesMissing(model=spec.slug, detail=f"weights {number}: scale {scale} is not a number")
        path = locate_weights(spec, entry)
        tensors = read(spec, path)
        if kind == LORA:
            merge_lora(pipeline, spec, path, tensors, float(scale))
        else:
            replace(network, spec, path, tensors)


def read(spec: ModelSpec, path: Path) -> Tensors:
    """The tensors of a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelFilesMissing(model=spec.slug, detail=f"{path.name}: {summary(error)}") from error


def replace(network: Any, spec: ModelSpec, path: Path, tensors: Tensors) -> None:
    """Put a file's weights in the place of a network's own; what the file does not hold stays."""
    own = network.state_dict()
    fitting = {}
    for key, tensor in tensors.items():
        name = cleaned(key, own)
        if name is not None and own[name].shape == tensor.shape:
            fitting[name] = tensor
    refuse_unless_enough(spec, path, matched=len(fitting), total=len(tensors))
    network.load_state_dict(fitting, strict=False)
    logger.info("%s: %d of %d weights come from %s.", spec.slug, len(fitting), len(own), path.name)


def merge_lora(pipeline: Any, spec: ModelSpec, path: Path, tensors: Tensors, scale: float) -> None:
    """Add a LoRA to the denoiser and, where it has such keys, to the text encoders."""
    changes = list(find_changes(pipeline, tensors, scale))
    matched, total = sum(change.keys for change in changes), len(tensors)
    if matched < MINIMUM_SHARE * total and (converted := convert(pipeline, tensors)):
        in_own_names = list(find_changes(pipeline, converted, scale))
        if sum(change.keys for change in in_own_names) > matched:
            changes, total = in_own_names, len(converted)
            matched = sum(change.keys for change in changes)
    refuse_unless_enough(spec, path, matched=matched, total=total)
    for change in changes:
        change.merge()
    logger.info("%s: %s changes %d weights, at scale %s.", spec.slug, path.name, len(changes), scale)


def find_changes(pipeline: Any, tensors: Tensors, scale: float) -> Iterator[Change]:
    """Those pairs of a LoRA's tensors that belong to a module of the pipeline, and fit its shape."""
    halves: dict[str, dict[bool, Any]] = {}
    alphas = {key.removesuffix(".alpha"): float(value) for key, value in tensors.items() if key.endswith(".alpha")}
    for key, tensor in tensors.items():
        match = HALF.fullmatch(key)
        if match and match[3]:
            alphas[match[1]] = float(tensor)
        elif match:
            halves.setdefault(match[1], {})[match[2] in ("A", "down")] = tensor
    networks = {name: dict(network.named_modules()) for name, network in trainable(pipeline).items()}
    for path, pair in halves.items():
        module = find_module(networks, path)
        if module is None or len(pair) != 2 or not fits(module, pair[True], pair[False]):
            continue
        alpha = alphas.get(path)
        yield Change(
            module=module,
            down=pair[True],
            up=pair[False],
            scale=scale * (1.0 if alpha is None else alpha / len(pair[True])),
            keys=2 if alpha is None else 3,
        )


def trainable(pipeline: Any) -> dict[str, Any]:
    """The networks that LoRAs are made for. The denoiser's name is empty: its keys may come without one."""
    denoiser = getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None)
    encoders = {name: getattr(pipeline, name, None) for name in TEXT_ENCODERS}
    return {name: network for name, network in {**encoders, "": denoiser}.items() if network is not None}


def find_module(networks: Mapping[str, Mapping[str, Any]], path: str) -> Any:
    """The module that a key means; `None` where there is none."""
    for name, modules in networks.items():
        if name and not path.startswith(f"{name}."):
            continue
        own = cleaned(path.removeprefix(f"{name}.") if name else path, modules)
        if own is not None:
            return modules[own]
    return None


def fits(module: Any, down: Any, up: Any) -> bool:
    """Whether the product of both halves has as many rows and columns as the module's weight."""
    weight = getattr(module, "weight", None)
    if weight is None or weight.ndim < 2 or not weight.is_floating_point():
        return False
    rows, columns = up.flatten(1), down.flatten(1)
    return bool(rows.shape[1] == columns.shape[0] and (len(rows), columns.shape[1]) == weight.flatten(1).shape)


def cleaned(key: str, known: Mapping[str, Any]) -> str | None:
    """A key without the prefix that some program has put before it; `None` if it means nothing here either way."""
    candidates = [key, *(key.removeprefix(prefix) for prefix in PREFIXES if key.startswith(prefix))]
    return next((candidate for candidate in candidates if candidate in known), None)


def convert(pipeline: Any, tensors: Tensors) -> Tensors:
    """A LoRA in the names of diffusers, which knows those of several trainers (`lora_unet_...`); empty if it does not.

    Its converters are written for files that they recognise and fail in many ways on others.
    """
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft

    unet = getattr(pipeline, "unet", None)
    try:
        converted = pipeline.lora_state_dict(dict(tensors), **({"unet_config": unet.config} if unet else {}))
        state, alphas = converted if isinstance(converted, tuple) else (converted, None)
        renamed: Tensors = convert_unet_state_dict_to_peft({**state, **(alphas or {})})
    except (AttributeError, KeyError, ValueError, IndexError, TypeError) as error:
        logger.info("The LoRA is of no kind that diffusers knows: %s", summary(error))
        return {}
    return renamed


def refuse_unless_enough(spec: ModelSpec, path: Path, *, matched: int, total: int) -> None:
    """Raise `WeightsDoNotFit` when too few keys were found; log when a few were not."""
    if total == 0 or matched < MINIMUM_SHARE * total:
        raise WeightsDoNotFit(model=spec.slug, file=path.name, matched=matched, total=total)
    if matched < total:
        logger.warning("%s: %d of %d weights in %s mean nothing here.", spec.slug, total - matched, total, path.name)
