"""Trains the embedded model: ``python -m project.training.train --work DIR --emoji DIR --minutes N``.

Everything done is kept in the work folder: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from transformers import BertTokenizer, CLIPTextModel

from .budget import find_device
from .dataset import render_to, rendered
from .denoiser import Denoiser, make_unet, train_denoiser
from .evaluate import draw, sheet
from .export import assemble, export
from .outer import DOWNSCALE, train_outer
from .sharpen import sharpen
from .stage import keep
from .text import make_text_encoder, make_tokenizer, pretrain
from .vae import Encoded, encode_all, train_vae

SHOWN_LOOKS = (
    "a photo of {}",
    "a watercolor painting of {}",
    "pixel art of {}",
    "a pencil sketch of {}",
    "an oil painting of {}",
    "a sepia photo of {}",
)
SHOWN = (
    "a cat on the beach",
    "a red apple on a white background",
    "a dog in a meadow",
    "a car in a neon city",
    "沙滩上的狐狸",
    "a tree in the snow",
    "a house at sunset",
    "森林里的一只熊猫",
)
logger = logging.getLogger(__name__)


def read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of pictures, checkpoints and the result")
    parser.add_argument("--emoji", type=Path, required=True, help="the assets of @lobehub/fluent-emoji-3d")
    parser.add_argument("--minutes", type=float, required=True, help="for autoencoder and denoiser together")
    parser.add_argument("--vae-share", type=float, default=0.4, help="of the minutes, a third for each of its stages")
    parser.add_argument("--side", type=int, default=128, help="128 or 256 pixels; a multiple of 64")
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--variety", type=float, default=0.4, help="chance in place, size and flip, 0 to 1")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--text-steps", type=int, default=500, help="of the text encoder alone")
    parser.add_argument("--render-only", action="store_true", help="end when the pictures are there")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Render, train the autoencoder, encode, train the text encoder and the denoiser, export."""
    options = read_arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    device, work = find_device(), options.work
    render_to(work, options.emoji, options.side, options.pictures, variety=options.variety)
    if options.render_only:
        return
    pictures, recipes = rendered(work, options.side)
    logger.info("%d pictures of %d pixels, training on %s", len(pictures), options.side, device)

    torch.manual_seed(0)
    minutes, crops = options.minutes * options.vae_share, max(16, options.batch // 8)
    inner = train_vae(pictures, work, minutes / 3, device, crops)
    encoded = kept_latents(inner, pictures, work)
    vae = train_outer(inner, encoded, work, minutes / 3, crops)
    vae = sharpen(vae, encoded, work, minutes / 3, crops // 4)
    tokenizer = make_tokenizer()
    denoiser = Denoiser(
        make_unet(options.side // DOWNSCALE), kept_text_encoder(tokenizer, work, device, options.text_steps), device
    )
    train_denoiser(
        denoiser,
        tokenizer,
        encoded.latents,
        recipes,
        work=work,
        minutes=options.minutes - minutes,
        batch=options.batch,
        show=partial(show, denoiser, vae, encoded.factor, tokenizer, work / "sheet.png"),
    )
    unet, encoder = denoiser.average
    export(work / "embedded_model", vae, encoded.factor, unet, encoder, tokenizer)
    logger.info("written to %s", work / "embedded_model")


def kept_latents(inner: AutoencoderKL, pictures: np.ndarray, work: Path) -> Encoded:
    """The pictures with their latents, computed once for each state of the inner autoencoder."""
    path = work / "latents.pt"
    if path.exists() and path.stat().st_mtime >= (work / "vae-inner.pt").stat().st_mtime:
        return Encoded(pictures, **torch.load(path))
    encoded = encode_all(inner, pictures)
    keep(path, {"latents": encoded.latents, "factor": encoded.factor})
    return encoded


def kept_text_encoder(tokenizer: BertTokenizer, work: Path, device: torch.device, steps: int) -> CLIPTextModel:
    """The text encoder that knows what captions mean, trained once."""
    path, encoder = work / "text.pt", make_text_encoder(tokenizer).to(device)
    if path.exists():
        encoder.load_state_dict(torch.load(path, map_location=device))
    else:
        pretrain(encoder, tokenizer, steps, device, logger.info)
        keep(path, encoder.state_dict())
    return encoder


def show(denoiser: Denoiser, vae: AutoencoderKL, factor: float, tokenizer: BertTokenizer, path: Path) -> None:
    """48 pictures with the weights so far: a row per prompt, a column per look."""
    unet, encoder = denoiser.average
    pipe = assemble(vae, factor, unet, encoder, tokenizer)
    texts = [look.format(text) for text in SHOWN for look in SHOWN_LOOKS]
    sheet(draw(pipe, texts, 0, unet.config.sample_size * DOWNSCALE), path, columns=len(SHOWN_LOOKS))


if __name__ == "__main__":
    main()
