"""The denoiser: a UNet over the latents that learns together with the text encoder."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch.nn import functional as F
from transformers import BertTokenizer, CLIPTextModel

from .budget import Budget, Every
from .captions import caption, empty_caption
from .dataset import Recipe
from .text import WIDTH, tokens
from .vae import LATENT_CHANNELS


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


class Denoiser:
    """UNet and text encoder with their running averages, which are what is shipped."""

    def __init__(self, unet: UNet2DConditionModel, encoder: CLIPTextModel, device: torch.device) -> None:
        self.unet = unet.to(device, memory_format=torch.channels_last)
        self.encoder = encoder.to(device)
        self.device = device
        self.average = copy.deepcopy((self.unet, self.encoder))
        for module in self.average:
            module.eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self._parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self.step = 0
        self.used = 0.0

    def _parameters(self) -> list[torch.nn.Parameter]:
        return [*self.unet.parameters(), *self.encoder.parameters()]

    def update_average(self, most: float = 0.998) -> None:
        """Move the averages; their memory grows with the steps done."""
        keep = min(most, (1 + self.step) / (20 + self.step))
        for average, module in zip(self.average, (self.unet, self.encoder), strict=True):
            mine, theirs = list(average.parameters()), list(module.parameters())
            torch._foreach_lerp_(mine, theirs, 1 - keep)

    def save(self, path: Path) -> None:
        """Write everything needed to go on."""
        draft = path.with_suffix(".part")
        modules = (self.unet, self.encoder, *self.average)
        state = {"modules": [m.state_dict() for m in modules], "optimizer": self.optimizer.state_dict()}
        torch.save({**state, "step": self.step, "used": self.used}, draft)
        draft.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, map_location=self.device)
        for module, values in zip((self.unet, self.encoder, *self.average), state["modules"], strict=True):
            module.load_state_dict(values)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.used = state["step"], state["used"]


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
    show: Callable[[Denoiser], None],
    log: Callable[[str], None],
) -> None:
    """Predict velocities until the time is up; ``show`` draws a contact sheet every few minutes."""
    path, device = work / "denoiser.pt", denoiser.device
    if path.exists():
        denoiser.load(path)
        log(f"denoiser goes on from step {denoiser.step}")
    budget, saving, showing, saying = Budget(minutes, denoiser.used), Every(120), Every(240), Every(20)
    # Compiling takes minutes on a CPU and gains little there.
    predict = torch.compile(denoiser.unet) if device.type == "cuda" else denoiser.unet
    signal = make_scheduler().alphas_cumprod.to(device)
    rng = np.random.default_rng([denoiser.step, 3])
    while budget.progress < 1:
        for group in denoiser.optimizer.param_groups:
            group["lr"] = budget.learning_rate(1.2e-3)
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
        denoiser.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(denoiser._parameters(), 1.0)
        denoiser.optimizer.step()
        denoiser.step += 1
        denoiser.used = budget.used
        denoiser.update_average()
        if saying.due():
            log(f"denoiser step {denoiser.step} at {budget.used:.0f} s: loss {loss.item():.4f}")
        if saving.due():
            denoiser.save(path)
        if showing.due():
            show(denoiser)
    denoiser.save(path)
    show(denoiser)
