"""Writes the finished parts as a diffusers pipeline folder in float16, with the digest of every file."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, PreTrainedTokenizerBase

from cms_ai_images.backends.diffusers.digests import RESTORE, SUMS

from .denoiser import make_scheduler

RESTORE_COMMAND = "git checkout -- project/embedded_model"


def assemble(
    vae: AutoencoderKL,
    scaling_factor: float,
    unet: UNet2DConditionModel,
    encoder: CLIPTextModel,
    tokenizer: PreTrainedTokenizerBase,
) -> StableDiffusionPipeline:
    """The parts as a pipeline that draws."""
    vae.register_to_config(scaling_factor=scaling_factor)
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def export(
    folder: Path,
    vae: AutoencoderKL,
    scaling_factor: float,
    unet: UNet2DConditionModel,
    encoder: CLIPTextModel,
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Save the pipeline; a model card that is there already stays."""
    # Copies, because the caller may go on training these.
    pipe = copy.deepcopy(assemble(vae, scaling_factor, unet, encoder, tokenizer)).to("cpu")
    pipe.to(dtype=torch.float16).save_pretrained(folder, safe_serialization=True)
    # A text encoder is loaded in the type that its file names, the other parts in float32: name the same.
    config_path = folder / "text_encoder" / "config.json"
    config = json.loads(config_path.read_text())
    config_path.write_text(json.dumps(config | {"dtype": "float32"}, indent=2) + "\n")
    write_digests(folder)


def write_digests(folder: Path) -> None:
    """Note the SHA-256 of every file that the pipeline loads; the model card may change freely."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name not in (SUMS, "README.md"))
    lines = [f"{_digest(file)}  {file.relative_to(folder).as_posix()}" for file in files]
    (folder / SUMS).write_text("\n".join([RESTORE + RESTORE_COMMAND, *lines]) + "\n")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
