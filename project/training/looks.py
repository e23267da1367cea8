"""The looks: what turns the plain render into pixel art, a pencil sketch, a watercolour, an oil or a sepia picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps


def _soft(picture: Image.Image, share: float) -> Image.Image:
    """Blur by a share of the side, so that a look keeps its strength at any size."""
    return picture.filter(ImageFilter.GaussianBlur(picture.width * share))


def plain(picture: Image.Image) -> Image.Image:
    """The render as it is."""
    return picture


def pixel(picture: Image.Image) -> Image.Image:
    """16 x 16 squares in 16 colours: as large as the latent cells of 128 pixels. Smaller ones were lost in them."""
    small = ImageEnhance.Color(picture.resize((16, 16), Image.Resampling.BOX)).enhance(1.4)
    small = (
        ImageEnhance.Contrast(small)
        .enhance(1.15)
        .quantize(16, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        .convert("RGB")
    )
    return small.resize(picture.size, Image.Resampling.NEAREST)


def sketch(picture: Image.Image) -> Image.Image:
    """Pencil lines by colour dodge, with a little of the tone left as shading."""
    grey = picture.convert("L")
    blurred = np.asarray(_soft(ImageOps.invert(grey), 0.02), dtype=np.float32)
    tone = np.asarray(grey, dtype=np.float32)
    lines = np.minimum(255.0, tone * 255.0 / np.maximum(255.0 - blurred, 1.0))
    lines = np.clip(255.0 - (255.0 - lines) * 1.7, 30, 255)
    shaded = lines * (0.72 + 0.28 * tone / 255.0)
    return Image.fromarray(np.clip(shaded, 0, 255).astype(np.uint8)).convert("RGB")


def watercolor(picture: Image.Image) -> Image.Image:
    """Flat pale washes with darker rims on paper that stays white at the border."""
    wash = picture.filter(ImageFilter.MedianFilter(5))
    wash = ImageEnhance.Color(wash).enhance(1.15)
    array = 255.0 - (255.0 - np.asarray(wash, dtype=np.float32)) * 0.72
    edges = np.asarray(_soft(wash.convert("L").filter(ImageFilter.FIND_EDGES), 0.004), dtype=np.float32)
    edges[:2] = edges[-2:] = edges[:, :2] = edges[:, -2:] = 0
    array -= edges[..., None] * 0.3
    y, x = np.mgrid[-1 : 1 : picture.height * 1j, -1 : 1 : picture.width * 1j]
    wobble = 0.06 * np.sin(7 * x + 2) + 0.06 * np.cos(8 * y)
    far = np.clip(((x**4 + y**4) ** 0.25 + wobble - 0.86) / 0.14, 0, 1)[..., None]
    return Image.fromarray(np.clip(array * (1 - far) + 253 * far, 0, 255).astype(np.uint8))


def oil(picture: Image.Image) -> Image.Image:
    """Broad strokes: the commonest colour nearby, more colour, and a relief lit from the upper left."""
    paint = picture.filter(ImageFilter.ModeFilter(max(3, round(picture.width / 26) | 1)))
    paint = ImageEnhance.Contrast(ImageEnhance.Color(paint).enhance(1.5)).enhance(1.12)
    relief = paint.convert("L").filter(ImageFilter.EMBOSS)
    return ImageChops.overlay(paint, Image.blend(Image.new("L", relief.size, 128), relief, 0.55).convert("RGB"))


def sepia(picture: Image.Image) -> Image.Image:
    """Brown tones with darkened corners, like an old photograph."""
    toned = ImageOps.colorize(picture.convert("L"), (44, 26, 12), (252, 238, 206), mid=(166, 122, 78))
    y, x = np.mgrid[-1 : 1 : picture.height * 1j, -1 : 1 : picture.width * 1j]
    dim = 1 - 0.28 * np.clip(x**2 + y**2 - 0.5, 0, 1.5)[..., None]
    return Image.fromarray((np.asarray(toned, dtype=np.float32) * dim).astype(np.uint8))


@dataclass(frozen=True)
class Look:
    """A look with its wordings; ``{}`` stands for the rest of the sentence."""

    name: str
    apply: Callable[[Image.Image], Image.Image]
    en: tuple[str, ...]
    zh: tuple[str, ...]


LOOKS: tuple[Look, ...] = (
    Look(
        "plain", plain, ("{}", "a photo of {}", "a 3d render of {}", "a picture of {}"), ("{}", "{}的照片", "{},3d渲染")
    ),
    Look("pixel", pixel, ("pixel art of {}", "{}, pixel art", "{} in pixel art style"), ("{},像素风", "像素风格的{}")),
    Look(
        "sketch",
        sketch,
        ("a pencil sketch of {}", "{}, pencil drawing", "a pencil drawing of {}"),
        ("{},铅笔素描", "素描{}"),
    ),
    Look(
        "watercolor",
        watercolor,
        ("a watercolor painting of {}", "{}, watercolor", "a watercolour of {}"),
        ("{},水彩画", "水彩风格的{}"),
    ),
    Look(
        "oil", oil, ("an oil painting of {}", "{}, oil painting", "{} as an oil painting"), ("{},油画", "油画风格的{}")
    ),
    Look(
        "sepia",
        sepia,
        ("a sepia photo of {}", "{}, sepia", "an old sepia photograph of {}"),
        ("{},复古照片", "老照片风格的{}"),
    ),
)
