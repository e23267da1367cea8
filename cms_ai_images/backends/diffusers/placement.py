"""Number format, device and memory options: what goes where, and at which precision."""

from __future__ import annotations

import logging
import os
from typing import Any

from cms_ai_images.exceptions import DeviceMissing
from cms_ai_images.types import ModelSpec

logger = logging.getLogger(__name__)

OVERFLOWS_IN_FLOAT16 = ("ZImage",)
"""Beginnings of pipeline classes whose activations exceed 65504, float16's largest number: they draw black pictures."""


def wanted_gpu() -> str:
    """What CUDA_VISIBLE_DEVICES names, which is read when torch first looks for GPUs; empty where it names none."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "").strip()
    return "" if named == "-1" else named


def choose_device() -> str:
    """`cuda`, `mps` or `cpu`: the best that this machine has. Raises `DeviceMissing` where a GPU is named and gone."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device := wanted_gpu():
        raise DeviceMissing(device=device)
    return "mps" if torch.backends.mps.is_available() else "cpu"


def describe_device(device: str) -> str:
    """For people: `cuda (NVIDIA L4)`, `mps` or `cpu`."""
    import torch

    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device


def choose_dtype(spec: ModelSpec, device: str, class_name: str) -> Any:
    """The torch dtype for a spec. `auto` is bfloat16 on CUDA, where it halves memory and time, else float32."""
    import torch

    if spec.dtype == "auto":
        return torch.bfloat16 if device == "cuda" else torch.float32
    if spec.dtype == "float16" and class_name.startswith(OVERFLOWS_IN_FLOAT16):
        logger.warning("%s draws black pictures in float16; %s is loaded in bfloat16.", class_name, spec.slug)
        return torch.bfloat16
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[spec.dtype]


def place(pipeline: Any, spec: ModelSpec, device: str) -> None:
    """Move the pipeline to its device, or let it come in parts, and set how the VAE saves memory."""
    offload = spec.cpu_offload
    if offload != "none" and device == "cpu":
        logger.warning("%s: CPU offload %s means nothing without a GPU.", spec.slug, offload)
        offload = "none"
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)
    if spec.vae_tiling:
        _enable(pipeline, spec, "enable_tiling")
    if spec.vae_slicing:
        _enable(pipeline, spec, "enable_slicing")


def _enable(pipeline: Any, spec: ModelSpec, switch: str) -> None:
    vae = getattr(pipeline, "vae", None)
    if not hasattr(vae, switch):
        logger.warning("%s: its VAE has no %s; ignored.", spec.slug, switch)
        return
    getattr(vae, switch)()
