"""The autoencoder that ships: the inner one with one more level around it, so 8 x 8 pixels to one latent cell.

Its latents are those of the inner one for the picture at half its side. A denoiser thus has a quarter of the cells to
work on, and the decoder, which has seen what the subjects look like, adds the detail that halving took away.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn import functional as F

from .stage import Stage, compiled, descend
from .vae import PEAK, Encoded, contact_sheet, make_vae, picture_loss, to_tensor

DOWNSCALE = 8
WIDTHS = (16, 48, 96, 128)
CROP = 8  # cells, which is 64 pixels
NOISE = 0.3  # at most, in deviations of the latents: a denoiser's are not exact either
LEAST_LOG_VARIANCE = -12.0


def grow(inner: AutoencoderKL, side: int) -> AutoencoderKL:
    """A new autoencoder for pictures of ``side`` pixels that begins with the innermost layers of ``inner``."""
    vae = make_vae(side, WIDTHS)
    for name in ("quant_conv", "post_quant_conv", "encoder.mid_block", "encoder.conv_norm_out", "encoder.conv_out",
                 "decoder.conv_in", "decoder.mid_block", "decoder.up_blocks.0"):  # fmt: skip
        vae.get_submodule(name).load_state_dict(inner.get_submodule(name).state_dict())
    # What is encoded is used as it is: the part that says how sure it is says "wholly".
    with torch.no_grad():
        vae.quant_conv.weight[vae.config.latent_channels :].zero_()
        vae.quant_conv.bias[vae.config.latent_channels :].fill_(LEAST_LOG_VARIANCE)
    return vae


def _crops(encoded: Encoded, batch: int, rng: np.random.Generator) -> tuple[np.ndarray, torch.Tensor]:
    """Random squares of pictures, and the same squares of their latents."""
    rows = rng.integers(0, len(encoded.pictures), batch)
    corners = rng.integers(0, encoded.latents.shape[-1] - CROP + 1, (batch, 2))
    cells, pixels = [], []
    for row, (y, x) in zip(rows, corners, strict=True):
        cells.append(encoded.latents[row, :, y : y + CROP, x : x + CROP])
        top, left, length = y * DOWNSCALE, x * DOWNSCALE, CROP * DOWNSCALE
        pixels.append(encoded.pictures[row, top : top + length, left : left + length])
    return np.stack(pixels), torch.stack(cells).float()


def train_outer(inner: AutoencoderKL, encoded: Encoded, work: Path, minutes: float, batch: int) -> AutoencoderKL:
    """Train for a time on squares that are cut from the pictures."""
    pictures, factor, device = encoded.pictures, encoded.factor, inner.device
    vae = grow(inner, pictures.shape[1]).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=1e-4)
    show = partial(contact_sheet, vae, pictures[:32], work / "vae.png")
    stage = Stage(work / "vae.pt", minutes, {"vae": vae, "optimizer": optimizer}, show)
    rng, through = np.random.default_rng([stage.step, 13]), compiled(_through, device)
    for _ in stage.steps():
        squares, cells = _crops(encoded, batch, rng)
        wanted, cells = to_tensor(squares, device), cells.to(device)
        with torch.autocast(device.type, torch.bfloat16):
            drawn, latents = through(vae, wanted, cells, factor)
        loss = picture_loss(drawn.float(), wanted)
        miss = F.mse_loss(latents.float() * factor, cells)
        descend(optimizer, loss + 0.5 * miss)
        stage.say(loss=loss, latents=miss)
    return vae.eval()


def _through(
    vae: AutoencoderKL, pictures: torch.Tensor, cells: torch.Tensor, factor: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The pictures as drawn from their latents, which are disturbed a little, and the latents as encoded."""
    strength = NOISE * torch.rand(len(cells), 1, 1, 1, device=cells.device)
    disturbed = (cells + strength * torch.randn_like(cells)).contiguous(memory_format=torch.channels_last)
    return vae.decode(disturbed / factor).sample, vae.encode(pictures).latent_dist.mean
