"""The decoder's last stage: a critic that tells its pictures from rendered ones drives the blur out.

What differences of pixels alone teach is the mean of all details that a latent may stand for. The critic judges
patches, and sees the latents beside them (a conditional patch GAN: Isola et al. 2017, Esser et al. 2021).
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional as F

from .stage import Stage, descend
from .vae import Encoded, contact_sheet, picture_loss, to_tensor

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


def sharpen(vae: AutoencoderKL, encoded: Encoded, work: Path, minutes: float, batch: int) -> AutoencoderKL:
    """Train the decoder on whole pictures for a time; anew, when the stage before has gone on since."""
    pictures, latents, factor, device = encoded.pictures, encoded.latents, encoded.factor, vae.device
    decoder = nn.ModuleList([vae.decoder, vae.post_quant_conv])
    critic = Critic(latents.shape[1]).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=PEAK, betas=(0.5, 0.95), weight_decay=1e-4)
    critic_optimizer = torch.optim.AdamW(critic.parameters(), lr=2 * PEAK, betas=(0.5, 0.95), weight_decay=1e-4)
    show = partial(contact_sheet, vae, pictures[:32], work / "vae-sharp.png")
    parts = {"vae": vae, "optimizer": optimizer, "critic": critic, "critic_optimizer": critic_optimizer}
    stage = Stage(work / "vae-sharp.pt", minutes, parts, show, after=work / "vae.pt")
    rng, last = np.random.default_rng([stage.step, 17]), vae.decoder.conv_out.weight
    for _ in stage.steps():
        rows = rng.integers(0, len(pictures), batch)
        wanted, cells = to_tensor(pictures[rows], device), latents[torch.from_numpy(rows)].to(device).float()
        disturbed = cells + NOISE * torch.rand(batch, 1, 1, 1, device=device) * torch.randn_like(cells)
        with torch.autocast(device.type, torch.bfloat16):
            drawn = vae.decode((disturbed / factor).contiguous(memory_format=torch.channels_last)).sample.float()
            judged = critic(drawn, cells)
        loss, praise = picture_loss(drawn, wanted), -judged.float().mean()
        pushes = [torch.autograd.grad(each, last, retain_graph=True)[0].norm() for each in (loss, praise)]
        weight = (CRITIC_SHARE * pushes[0] / (pushes[1] + 1e-6)).clamp(max=100).detach()
        descend(optimizer, loss + weight * praise)

        with torch.autocast(device.type, torch.bfloat16):
            real, made = critic(wanted, cells).float(), critic(drawn.detach(), cells).float()
        doubt = F.relu(1 - real).mean() + F.relu(1 + made).mean()
        descend(critic_optimizer, doubt, steepest=math.inf)
        stage.say(loss=loss, critic=doubt)
    return vae.eval()
