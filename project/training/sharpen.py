"""The decoder's last stage: a critic that tells its pictures from rendered ones drives the blur out.

What differences of pixels alone teach is the mean of all details that a latent may stand for. The critic judges
patches, and sees the latents beside them (a conditional patch GAN: Isola et al. 2017, Esser et al. 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional as F

from .budget import Budget, Every
from .vae import contact_sheet, picture_loss, save_vae, to_tensor

PEAK = 3e-4
CRITIC_SHARE = 0.25
"""Of the push that the decoder's last layer gets: the critic's, beside one of the differences of pixels."""
NOISE = 0.1  # at most, in deviations of the latents


class Critic(nn.Module):
    """Scores of overlapping patches, high for rendered pictures."""

    def __init__(self, latent_channels: int = 4) -> None:
        super().__init__()
        self.patches = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, 2, 1),
            nn.GroupNorm(8, 64),
            nn.LeakyReLU(0.2),
        )
        self.judge = nn.Sequential(
            nn.Conv2d(64 + latent_channels, 96, 3, 1, 1),
            nn.GroupNorm(8, 96),
            nn.LeakyReLU(0.2),
            nn.Conv2d(96, 1, 3, 1, 1),
        )

    def forward(self, pictures: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """(n, 3, 8h, 8w) and (n, 4, h, w) to (n, 1, 2h, 2w)."""
        features = self.patches(pictures)
        return self.judge(torch.cat([features, F.interpolate(latents, features.shape[-2:])], 1))


def sharpen(
    vae: AutoencoderKL,
    pictures: np.ndarray,
    latents: torch.Tensor,
    factor: float,
    work: Path,
    minutes: float,
    device: torch.device,
    batch: int,
    log: Callable[[str], None],
) -> AutoencoderKL:
    """Train the decoder on whole pictures for a time.

    The state is kept in ``work`` and continued from, unless the stage before has gone on since.
    """
    decoder = nn.ModuleList([vae.decoder, vae.post_quant_conv])
    critic = Critic(latents.shape[1]).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=PEAK, betas=(0.5, 0.95), weight_decay=1e-4)
    critic_optimizer = torch.optim.AdamW(critic.parameters(), lr=2 * PEAK, betas=(0.5, 0.95), weight_decay=1e-4)
    path, critic_path, step, used = work / "vae-sharp.pt", work / "critic.pt", 0, 0.0
    if path.exists() and path.stat().st_mtime > (work / "vae.pt").stat().st_mtime:
        state, critic_state = torch.load(path, map_location=device), torch.load(critic_path, map_location=device)
        vae.load_state_dict(state["vae"])
        optimizer.load_state_dict(state["optimizer"])
        critic.load_state_dict(critic_state["critic"])
        critic_optimizer.load_state_dict(critic_state["optimizer"])
        step, used = state["step"], state["used"]
        log(f"sharpening goes on from step {step}")

    def save() -> None:
        torch.save({"critic": critic.state_dict(), "optimizer": critic_optimizer.state_dict()}, critic_path)
        save_vae(path, vae, optimizer, step, budget.used)
        contact_sheet(vae, pictures[:32], work / "vae-sharp.png")

    budget, saving, saying = Budget(minutes, used), Every(120), Every(20)
    rng = np.random.default_rng([step, 17])
    last = vae.decoder.conv_out.weight
    first = step
    while budget.progress < 1:
        for each, scale in ((optimizer, 1), (critic_optimizer, 2)):
            for group in each.param_groups:
                group["lr"] = scale * budget.learning_rate(PEAK)
        rows = rng.integers(0, len(pictures), batch)
        wanted, cells = to_tensor(pictures[rows], device), latents[torch.from_numpy(rows)].to(device).float()
        disturbed = cells + NOISE * torch.rand(batch, 1, 1, 1, device=device) * torch.randn_like(cells)
        with torch.autocast(device.type, torch.bfloat16):
            drawn = vae.decode((disturbed / factor).contiguous(memory_format=torch.channels_last)).sample.float()
            judged = critic(drawn, cells)
        loss, praise = picture_loss(drawn, wanted), -judged.float().mean()
        pushes = [torch.autograd.grad(each, last, retain_graph=True)[0].norm() for each in (loss, praise)]
        weight = (CRITIC_SHARE * pushes[0] / (pushes[1] + 1e-6)).clamp(max=100).detach()
        optimizer.zero_grad(set_to_none=True)
        (loss + weight * praise).backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()

        with torch.autocast(device.type, torch.bfloat16):
            real, made = critic(wanted, cells).float(), critic(drawn.detach(), cells).float()
        doubt = F.relu(1 - real).mean() + F.relu(1 + made).mean()
        critic_optimizer.zero_grad(set_to_none=True)
        doubt.backward()
        critic_optimizer.step()
        step += 1
        if saying.due():
            log(f"sharpening step {step} at {budget.used:.0f} s: loss {loss.item():.4f}, critic {doubt.item():.3f}")
        if saving.due():
            save()
    if step > first:
        save()
    return vae.eval()
