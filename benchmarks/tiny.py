"""A diffusers pipeline of a real class that one processor core can draw with in about half a second.

Random weights, so it draws noise, at the same cost as if it had learnt something.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHANNELS = [32, 64]
"""Of the UNet; it decides how long a step takes."""


def build(folder: Path) -> Path:
    """Save the pipeline in a folder, unless it is there."""
    if not (folder / "model_index.json").exists():
        pipeline().save_pretrained(folder, safe_serialization=True)
    return folder


def pipeline() -> Any:
    """Stable Diffusion's class: eight pixels to a latent, and a text encoder that is almost free."""
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    from tests.tiny_pipelines import TEXT_WIDTH, clip_text_config, clip_tokenizer

    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    return StableDiffusionPipeline(
        vae=AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            block_out_channels=[8, 16, 16, 16],
            norm_num_groups=4,
            latent_channels=4,
        ),
        text_encoder=CLIPTextModel(clip_text_config(tokenizer)),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=32,
            down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"],
            up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
            block_out_channels=CHANNELS,
            norm_num_groups=4,
            layers_per_block=1,
            attention_head_dim=8,
            cross_attention_dim=TEXT_WIDTH,
        ),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
