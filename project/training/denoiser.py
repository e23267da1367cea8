"""The denoiser: a UNet over the latents that learns together with the text encoder."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import nn
from torch.nn import functional as F
from transformers import BertTokenizer, CLIPTextModel

from .captions import caption, empty_caption
from .dataset import Recipe
from .stage import Stage, compiled, descend
from .text import WIDTH, tokens
from .vae import LATENT_CHANNELS

PEAK = 1.2e-3


def make_unet(side: int, widths: tuple[int, ...] = (32, 64, 128, 160)) -> UNet2DConditionModel:
    """Attention only at the coarsest size, where it costs little; a summary of the text also steers every block.

    ``side`` is that of the latents: an eighth of the picture's.
    """
    plain = len(widths) - 1
    return UNet2DConditionModel(
        sample_size=side,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D",) * plain + ("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",) + ("UpBlock2D",) * plain,
        block_out_channels=widths,
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )


def make_scheduler() -> DDIMScheduler:
    """Velocities and a schedule that ends in pure noise, so that plain backgrounds get their true colour."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


class Denoiser(nn.Module):
    """UNet and text encoder with their running averages, which are what is shipped."""

    def __init__(self, unet: UNet2DConditionModel, encoder: CLIPTextModel, device: torch.device) -> None:
        super().__init__()
        self.unet = unet.to(device, memory_format=torch.channels_last)
        self.encoder = encoder.to(device)
        self.average = nn.ModuleList(copy.deepcopy([self.unet, self.encoder])).eval().requires_grad_(False)

    def learned(self) -> list[nn.Parameter]:
        """What an optimizer moves; the averages follow."""
        return [*self.unet.parameters(), *self.encoder.parameters()]

    def update_average(self, step: int, most: float = 0.998) -> None:
        """Move the averages; their memory grows with the steps done."""
        keep = min(most, (1 + step) / (20 + step))
        torch._foreach_lerp_(list(self.average.parameters()), self.learned(), 1 - keep)


def draw_times(count: int, device: torch.device) -> torch.Tensor:
    """Noise levels 0 to 999, more often high ones: there it is decided what the picture shows."""
    return (torch.rand(count, device=device) ** 0.6 * 1000).long().clamp(max=999)


def train_denoiser(
    denoiser: Denoiser,
    tokenizer: BertTokenizer,
    latents: torch.Tensor,
    recipes: list[Recipe],
    *,
    work: Path,
    minutes: float,
    batch: int,
    show: Callable[[], None],
) -> None:
    """Predict velocities until the time is up; ``show`` draws a contact sheet every few minutes."""
    device = denoiser.unet.device
    optimizer = torch.optim.AdamW(denoiser.learned(), lr=PEAK, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    stage = Stage(work / "denoiser.pt", minutes, {"denoiser": denoiser, "optimizer": optimizer}, show)
    rng, predict = np.random.default_rng([stage.step, 3]), compiled(denoiser.unet, device)
    signal = make_scheduler().alphas_cumprod.to(device)
    for step in stage.steps():
        rows = rng.integers(0, len(latents), batch)
        texts = [empty_caption(rng) if rng.random() < 0.1 else caption(recipes[row], rng) for row in rows]
        clean = latents[torch.from_numpy(rows)].to(device).float().contiguous(memory_format=torch.channels_last)
        noise = torch.randn_like(clean)
        times = draw_times(batch, device)
        alpha = signal[times].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        with torch.autocast(device.type, torch.bfloat16):
            words = denoiser.encoder(tokens(tokenizer, texts, device)).last_hidden_state
            guess = predict(noisy, times, words).sample
        loss = F.mse_loss(guess.float(), velocity)
        descend(optimizer, loss)
        denoiser.update_average(step)
        stage.say(loss=loss)
