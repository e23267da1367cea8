"""The autoencoder that ships: the inner one with one more level around it, so 8 x 8 pixels to one latent cell.

Its latents are those of the inner one for the picture at half its side. A denoiser thus has a quarter of the cells to
work on, and the decoder, which has seen what the subjects look like, adds the detail that halving took away.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn import functional as F

from .budget import Budget, Every
from .vae import PEAK, contact_sheet, make_vae, picture_loss, save_vae, to_tensor

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


def _crops(
    pictures: np.ndarray, latents: torch.Tensor, batch: int, rng: np.random.Generator
) -> tuple[np.ndarray, torch.Tensor]:
    """Random squares of pictures, and the same squares of their latents."""
    rows = rng.integers(0, len(pictures), batch)
    corners = rng.integers(0, latents.shape[-1] - CROP + 1, (batch, 2))
    cells, pixels = [], []
    for row, (y, x) in zip(rows, corners, strict=True):
        cells.append(latents[row, :, y : y + CROP, x : x + CROP])
        top, left, length = y * DOWNSCALE, x * DOWNSCALE, CROP * DOWNSCALE
        pixels.append(pictures[row, top : top + length, left : left + length])
    return np.stack(pixels), torch.stack(cells).float()


def train_outer(
    inner: AutoencoderKL,
    pictures: np.ndarray,
    latents: torch.Tensor,
    factor: float,
    work: Path,
    minutes: float,
    device: torch.device,
    batch: int,
    log: Callable[[str], None],
) -> AutoencoderKL:
    """Train for a time; the state is kept in ``work`` and continued from.

    ``latents``: (pictures, 4, side / 8, side / 8), those of ``inner`` for the halved pictures, times ``factor``.
    """
    vae = grow(inner, pictures.shape[1]).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=1e-4)
    path, step, used = work / "vae.pt", 0, 0.0
    if path.exists():
        state = torch.load(path, map_location=device)
        vae.load_state_dict(state["vae"])
        optimizer.load_state_dict(state["optimizer"])
        step, used = state["step"], state["used"]
        log(f"vae goes on from step {step}")
    first = step
    budget, saving, saying = Budget(minutes, used), Every(120), Every(20)
    rng = np.random.default_rng([step, 13])
    through = torch.compile(_through) if device.type == "cuda" else _through
    while budget.progress < 1:
        for group in optimizer.param_groups:
            group["lr"] = budget.learning_rate(PEAK)
        squares, cells = _crops(pictures, latents, batch, rng)
        wanted, cells = to_tensor(squares, device), cells.to(device)
        with torch.autocast(device.type, torch.bfloat16):
            drawn, encoded = through(vae, wanted, cells, factor)
        loss = picture_loss(drawn.float(), wanted)
        miss = F.mse_loss(encoded.float() * factor, cells)
        optimizer.zero_grad(set_to_none=True)
        (loss + 0.5 * miss).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        step += 1
        if saying.due():
            log(f"vae step {step} at {budget.used:.0f} s: loss {loss.item():.4f}, latents {miss.item():.3f}")
        if saving.due():
            save_vae(path, vae, optimizer, step, budget.used)
            contact_sheet(vae, pictures[:32], work / "vae.png")
    if step > first:
        save_vae(path, vae, optimizer, step, budget.used)
        contact_sheet(vae, pictures[:32], work / "vae.png")
    return vae.eval()


def _through(
    vae: AutoencoderKL, pictures: torch.Tensor, cells: torch.Tensor, factor: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The pictures as drawn from their latents, which are disturbed a little, and the latents as encoded."""
    strength = NOISE * torch.rand(len(cells), 1, 1, 1, device=cells.device)
    disturbed = (cells + strength * torch.randn_like(cells)).contiguous(memory_format=torch.channels_last)
    return vae.decode(disturbed / factor).sample, vae.encode(pictures).latent_dist.mean
