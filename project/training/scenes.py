"""The backgrounds, drawn from scratch with a little chance in place and colour.

Every scene is a function of a random generator and a picture side in pixels and returns an RGB picture. Shapes are
drawn at twice the side and reduced, which is what makes their edges smooth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
_OVER = 2


def _jitter(rng: np.random.Generator, colour: Colour, amount: int = 8) -> Colour:
    return tuple(int(np.clip(c + rng.integers(-amount, amount + 1), 0, 255)) for c in colour)  # type: ignore[return-value]


def _gradient(side: int, *stops: Colour) -> Image.Image:
    """A vertical blend through the colours, top first."""
    strip = Image.new("RGB", (1, len(stops)))
    strip.putdata(list(stops))
    return strip.resize((side, side), Image.Resampling.BICUBIC)


def _canvas(side: int, *stops: Colour) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    big = side * _OVER
    picture = _gradient(big, *stops)
    return picture, ImageDraw.Draw(picture), big


def _done(picture: Image.Image, side: int) -> Image.Image:
    return picture.resize((side, side), Image.Resampling.BOX)


def _hill(draw: ImageDraw.ImageDraw, s: int, y: float, height: float, phase: float, colour: Colour) -> None:
    """A soft wave of ground whose line runs around ``y`` (share of the side)."""
    xs = np.linspace(0, s, 17)
    ys = (y + height * np.sin(xs / s * 4.2 + phase)) * s
    draw.polygon([*zip(xs.tolist(), ys.tolist(), strict=True), (s, s), (0, s)], fill=colour)


def _cloud(draw: ImageDraw.ImageDraw, s: int, x: float, y: float, size: float, colour: Colour) -> None:
    for dx, dy, r in ((-0.9, 0.1, 0.55), (0, -0.15, 0.8), (0.9, 0.1, 0.6), (0.3, 0.25, 0.6), (-0.4, 0.25, 0.6)):
        cx, cy, rad = (x + dx * size) * s, (y + dy * size) * s, r * size * s
        draw.ellipse((cx - rad, cy - rad * 0.8, cx + rad, cy + rad * 0.8), fill=colour)


def studio(rng: np.random.Generator, side: int) -> Image.Image:
    """A white sweep, a touch darker at the floor."""
    return _gradient(side, (252, 252, 252), (250, 250, 251), _jitter(rng, (236, 237, 240), 3))


def pastel(rng: np.random.Generator, side: int) -> Image.Image:
    """One soft colour with a paler disc in the middle."""
    base = [(255, 205, 214), (200, 224, 255), (206, 240, 216), (255, 232, 190), (224, 210, 250)][rng.integers(5)]
    base = _jitter(rng, base, 5)
    picture, draw, s = _canvas(side, base, base)
    pale = tuple(int(c + (255 - c) * 0.45) for c in base)
    r = s * rng.uniform(0.38, 0.42)
    draw.ellipse((s / 2 - r, s / 2 - r, s / 2 + r, s / 2 + r), fill=pale)
    return _done(picture, side)


def meadow(rng: np.random.Generator, side: int) -> Image.Image:
    """Green hills with flowers under a blue sky."""
    picture, draw, s = _canvas(side, _jitter(rng, (96, 178, 245)), (196, 230, 252), (196, 230, 252))
    _cloud(draw, s, rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.22), 0.09, (255, 255, 255))
    _hill(draw, s, 0.56, 0.05, rng.uniform(0, 6), _jitter(rng, (134, 205, 98)))
    _hill(draw, s, 0.68, 0.04, rng.uniform(0, 6), _jitter(rng, (92, 178, 70)))
    for _ in range(12):
        x, y = rng.uniform(0, s), rng.uniform(0.76, 0.99) * s
        r = s * 0.011
        colour = [(255, 255, 255), (255, 220, 70), (255, 130, 160)][rng.integers(3)]
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    return _done(picture, side)


def beach(rng: np.random.Generator, side: int) -> Image.Image:
    """Sky, sea with a foam line, sand."""
    picture, draw, s = _canvas(side, _jitter(rng, (110, 200, 250)), (205, 240, 255), (205, 240, 255))
    sea = rng.uniform(0.4, 0.46) * s
    draw.rectangle((0, sea, s, s), fill=_jitter(rng, (34, 150, 200)))
    phase = rng.uniform(0, 6)
    _hill(draw, s, 0.61, 0.02, phase, (235, 250, 252))
    _hill(draw, s, 0.635, 0.02, phase, _jitter(rng, (244, 218, 160)))
    _cloud(draw, s, rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.2), 0.07, (255, 255, 255))
    return _done(picture, side)


def night(rng: np.random.Generator, side: int) -> Image.Image:
    """A starry sky over a dark hill."""
    picture, draw, s = _canvas(side, (8, 12, 46), (24, 34, 92), _jitter(rng, (58, 60, 130)))
    for _ in range(36):
        x, y, r = rng.uniform(0, s), rng.uniform(0, 0.75) * s, s * rng.uniform(0.004, 0.011)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 250, 215))
    _hill(draw, s, 0.82, 0.03, rng.uniform(0, 6), (14, 18, 44))
    return _done(picture, side)


def sunset(rng: np.random.Generator, side: int) -> Image.Image:
    """An orange sky, a low sun, dark mountains."""
    picture, draw, s = _canvas(side, (110, 60, 140), (240, 100, 90), _jitter(rng, (255, 190, 90)), (255, 190, 90))
    x, y, r = rng.uniform(0.2, 0.8) * s, rng.uniform(0.5, 0.6) * s, s * 0.12
    draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 240, 170))
    _hill(draw, s, 0.7, 0.06, rng.uniform(0, 6), _jitter(rng, (130, 56, 96)))
    _hill(draw, s, 0.82, 0.03, rng.uniform(0, 6), (74, 30, 66))
    return _done(picture, side)


def forest(rng: np.random.Generator, side: int) -> Image.Image:
    """Rows of dark green firs around a clearing."""
    picture, draw, s = _canvas(side, (190, 226, 200), (140, 196, 150), (140, 196, 150))
    for row, (base, tall, green) in enumerate(((0.62, 0.5, (70, 140, 92)), (0.74, 0.62, (34, 96, 58)))):
        for x in np.linspace(0, 1, 7) + rng.uniform(-0.05, 0.05, 7):
            if row and 0.25 < x < 0.75:
                continue
            h = tall * rng.uniform(0.8, 1.05)
            shade = _jitter(rng, green, 5)
            for k in range(3):
                top, low, w = base - h + k * h * 0.22, base - h + (k + 1.6) * h * 0.28, 0.05 + 0.03 * k
                draw.polygon([(x * s, top * s), ((x - w) * s, low * s), ((x + w) * s, low * s)], fill=shade)
            draw.rectangle(((x - 0.012) * s, (base - h * 0.15) * s, (x + 0.012) * s, base * s), fill=(92, 64, 44))
    _hill(draw, s, 0.7, 0.02, rng.uniform(0, 6), _jitter(rng, (62, 118, 58)))
    return _done(picture, side)


def neon(rng: np.random.Generator, side: int) -> Image.Image:
    """A night street of dark towers with lit windows and a wet, glowing road."""
    picture, draw, s = _canvas(side, (22, 8, 52), (70, 16, 96), (150, 30, 130))
    lights = [(255, 60, 190), (60, 230, 255), (255, 220, 90)]
    x = -0.02
    while x < 1:
        w, top = rng.uniform(0.13, 0.19), rng.uniform(0.1, 0.42)
        draw.rectangle((x * s, top * s, (x + w - 0.012) * s, s), fill=_jitter(rng, (26, 16, 56), 6))
        glow = lights[rng.integers(3)]
        draw.rectangle((x * s, top * s, (x + w - 0.012) * s, (top + 0.018) * s), fill=glow)
        for wy in np.arange(top + 0.06, 0.7, 0.075):
            for wx in (x + 0.025, x + w - 0.065):
                if rng.random() < 0.65:
                    draw.rectangle((wx * s, wy * s, (wx + 0.03) * s, (wy + 0.035) * s), fill=glow)
        x += w
    draw.rectangle((0, 0.76 * s, s, s), fill=(30, 14, 60))
    draw.rectangle((0, 0.76 * s, s, 0.775 * s), fill=(255, 60, 190))
    draw.rectangle((0, 0.9 * s, s, 0.912 * s), fill=(60, 230, 255))
    return _done(picture, side)


def snow(rng: np.random.Generator, side: int) -> Image.Image:
    """Snowy mountains and falling flakes."""
    picture, draw, s = _canvas(side, _jitter(rng, (150, 186, 222)), (214, 230, 244), (214, 230, 244))
    for _ in range(3):
        x, h, w = rng.uniform(0, 1), rng.uniform(0.25, 0.42), rng.uniform(0.28, 0.4)
        peak = 0.7 - h
        draw.polygon([(x * s, peak * s), ((x - w) * s, 0.72 * s), ((x + w) * s, 0.72 * s)], fill=(126, 152, 190))
        cap = 0.35
        draw.polygon(
            [(x * s, peak * s), ((x - w * cap) * s, (peak + h * cap) * s), ((x + w * cap) * s, (peak + h * cap) * s)],
            fill=(250, 252, 255),
        )
    _hill(draw, s, 0.68, 0.03, rng.uniform(0, 6), (240, 246, 252))
    for _ in range(22):
        x, y, r = rng.uniform(0, s), rng.uniform(0, s), s * rng.uniform(0.006, 0.012)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 255, 255))
    return _done(picture, side)


def underwater(rng: np.random.Generator, side: int) -> Image.Image:
    """Blue water with light from above, weeds, a sandy floor and bubbles."""
    picture, draw, s = _canvas(side, _jitter(rng, (90, 214, 232)), (20, 130, 190), (10, 70, 140))
    _hill(draw, s, 0.88, 0.02, rng.uniform(0, 6), _jitter(rng, (206, 188, 140)))
    for x in (rng.uniform(0.03, 0.2), rng.uniform(0.8, 0.97), rng.uniform(0.03, 0.97)):
        top, lean = rng.uniform(0.45, 0.7), rng.uniform(-0.05, 0.05)
        weed = [((x - 0.03) * s, 0.92 * s), ((x + lean) * s, top * s), ((x + 0.03) * s, 0.92 * s)]
        draw.polygon(weed, fill=_jitter(rng, (30, 140, 90)))
    for _ in range(9):
        x, y, r = rng.uniform(0, s), rng.uniform(0, 0.8) * s, s * rng.uniform(0.012, 0.026)
        draw.ellipse((x - r, y - r, x + r, y + r), outline=(205, 245, 252), width=max(1, s // 110))
    return _done(picture, side)


@dataclass(frozen=True)
class Scene:
    """A background with the words that ask for it: English follow the subject ("a cat" + "on the beach")."""

    name: str
    draw: Callable[[np.random.Generator, int], Image.Image]
    en: tuple[str, ...]
    zh: tuple[str, ...]
    dark: bool = False


SCENES: tuple[Scene, ...] = (
    Scene("studio", studio, ("on a white background", "in a white studio", "on white"), ("白色背景", "白色摄影棚里")),
    Scene("pastel", pastel, ("on a pastel background", "in soft pastel colors"), ("柔和色背景", "马卡龙色背景")),
    Scene(
        "meadow", meadow, ("in a meadow", "on the grass", "in a green field", "on a meadow"), ("草地上", "绿色田野里")
    ),
    Scene("beach", beach, ("on the beach", "at the seaside", "on a sandy beach", "by the sea"), ("沙滩上", "海边")),
    Scene(
        "night", night, ("under a starry night sky", "at night", "under the stars"), ("星空下", "夜空下", "夜晚"), True
    ),
    Scene("sunset", sunset, ("at sunset", "in the evening sun", "in front of a sunset"), ("夕阳下", "日落时")),
    Scene("forest", forest, ("in the forest", "in the woods", "among fir trees"), ("森林里", "树林里")),
    Scene(
        "neon", neon, ("in a neon city", "in a city at night", "in a neon street"), ("霓虹城市里", "城市夜景中"), True
    ),
    Scene("snow", snow, ("in the snow", "in snowy mountains", "in winter"), ("雪地里", "雪山前", "冬天")),
    Scene("underwater", underwater, ("under water", "underwater", "at the bottom of the sea"), ("水下", "海底")),
)
