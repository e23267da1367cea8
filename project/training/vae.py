"""The inner autoencoder: 4 x 4 pixels become one latent cell of 4 numbers. `outer` puts one more level around it.

Four numbers, because the inpainting pipeline of the family takes no other count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch.nn import functional as F

from .stage import Stage, compiled, descend

LATENT_CHANNELS = 4
WIDTHS = (16, 48, 128)
PEAK = 1.2e-3
CLOSENESS = 2e-4  # weight of the divergence from a normal distribution: just enough to keep the latents small


def make_vae(side: int, widths: tuple[int, ...] = WIDTHS) -> AutoencoderKL:
    """Few channels at full size, where a CPU is bound by memory, and more below."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=side,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def to_tensor(pictures: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 (n, h, w, 3) to float (n, 3, h, w) in -1..1."""
    tensor = torch.from_numpy(np.ascontiguousarray(pictures)).to(device)
    return tensor.permute(0, 3, 1, 2).float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


def _edges(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., 1:, :] - x[..., :-1, :], x[..., :, 1:] - x[..., :, :-1]


def picture_loss(drawn: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Absolute difference of the pixels and, so that outlines stay sharp, of their slopes at two sizes."""
    loss = F.l1_loss(drawn, wanted)
    for _ in range(2):
        for a, b in zip(_edges(drawn), _edges(wanted), strict=True):
            loss = loss + 0.7 * F.l1_loss(a, b)
        drawn, wanted = F.avg_pool2d(drawn, 2), F.avg_pool2d(wanted, 2)
    return loss


def _crops(pictures: np.ndarray, batch: int, crop: int, rng: np.random.Generator) -> np.ndarray:
    """Random squares of ``crop`` pixels, half of them mirrored."""
    side = pictures.shape[1]
    out = np.empty((batch, crop, crop, 3), np.uint8)
    for row in range(batch):
        y, x = rng.integers(0, side - crop + 1, 2)
        square = pictures[rng.integers(len(pictures)), y : y + crop, x : x + crop]
        out[row] = square[:, ::-1] if rng.random() < 0.5 else square
    return out


def train_vae(pictures: np.ndarray, work: Path, minutes: float, device: torch.device, batch: int) -> AutoencoderKL:
    """Train for a time on crops of half the side."""
    side = pictures.shape[1]
    vae = make_vae(side).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=1e-4)
    show = partial(contact_sheet, vae, pictures[:32], work / "vae-inner.png")
    stage = Stage(work / "vae-inner.pt", minutes, {"vae": vae, "optimizer": optimizer}, show)
    rng, through = np.random.default_rng([stage.step, 7]), compiled(_through, device)
    for _ in stage.steps():
        wanted = to_tensor(_crops(pictures, batch, side // 2, rng), device)
        with torch.autocast(device.type, torch.bfloat16):
            drawn, divergence = through(vae, wanted)
        loss = picture_loss(drawn.float(), wanted)
        descend(optimizer, loss + CLOSENESS * divergence)
        stage.say(loss=loss, kl=divergence)
    return vae.eval()


def _through(vae: AutoencoderKL, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The pictures encoded and decoded, and how far the latents are from a normal distribution."""
    posterior = vae.encode(pictures).latent_dist
    mean, log_variance = posterior.mean.float(), posterior.logvar.float()
    return vae.decode(posterior.sample()).sample, 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()


@dataclass(frozen=True)
class Encoded:
    """Pictures and what they are for the denoiser."""

    pictures: np.ndarray
    """uint8 (n, side, side, 3)."""
    latents: torch.Tensor
    """Half precision (n, 4, side / 8, side / 8): the inner autoencoder's for the halved pictures, times `factor`."""
    factor: float
    """With it they have a deviation of one."""


@torch.no_grad()
def encode_all(inner: AutoencoderKL, pictures: np.ndarray) -> Encoded:
    """The pictures with their latents."""
    small, parts = halved(pictures), []
    for start in range(0, len(small), 64):
        with torch.autocast(inner.device.type, torch.bfloat16):
            mean = inner.encode(to_tensor(small[start : start + 64], inner.device)).latent_dist.mean
        parts.append(mean.float().cpu())
    latents = torch.cat(parts)
    factor = 1.0 / latents.std().item()
    return Encoded(pictures, (latents * factor).half(), factor)


def halved(pictures: np.ndarray) -> np.ndarray:
    """The pictures at half their side: the mean of each 2 x 2 pixels."""
    count, side = pictures.shape[:2]
    blocks = pictures.reshape(count, side // 2, 2, side // 2, 2, 3)
    return np.stack([block.mean(axis=(1, 3)).round().astype(np.uint8) for block in blocks])


@torch.no_grad()
def contact_sheet(vae: AutoencoderKL, pictures: np.ndarray, path: Path) -> None:
    """Rows of pictures, and under each what the autoencoder makes of them."""
    with torch.autocast(vae.device.type, torch.bfloat16):
        drawn = to_pictures(vae(to_tensor(pictures, vae.device)).sample)
    rows = []
    for first in range(0, len(pictures), 8):
        rows += [np.concatenate(list(part[first : first + 8]), axis=1) for part in (pictures, drawn)]
    Image.fromarray(np.concatenate(rows)).save(path)


def to_pictures(tensor: torch.Tensor) -> np.ndarray:
    """Float (n, 3, h, w) in -1..1 to uint8 (n, h, w, 3)."""
    tensor = ((tensor.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return tensor.permute(0, 2, 3, 1).cpu().numpy()
