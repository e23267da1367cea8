"""Renders pictures: a subject pasted with a soft shadow on a drawn scene, then put into a look.

Everything about a picture follows from its recipe, and recipe ``number`` of a data set follows from the seed, so two
machines render the same data. The emoji pictures are read from an unpacked ``@lobehub/fluent-emoji-3d`` package.
"""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from .looks import LOOKS
from .scenes import SCENES
from .subjects import SUBJECTS, WEIGHTS

HELD_OUT_SEED = 50
HELD_OUT_COUNT = 50


@cache
def held_out() -> tuple[tuple[int, int, int], ...]:
    """The (subject, scene, look) compositions that training never sees, for the evaluation."""
    rng = np.random.default_rng(HELD_OUT_SEED)
    found: dict[tuple[int, int, int], None] = {}
    while len(found) < HELD_OUT_COUNT:
        found[int(rng.integers(len(SUBJECTS))), int(rng.integers(len(SCENES))), int(rng.integers(len(LOOKS)))] = None
    return tuple(found)


@dataclass(frozen=True)
class Recipe:
    """One picture: indices into the tables (``subject`` -1 is an empty scene) and the seed of its small chances."""

    subject: int
    scene: int
    look: int
    seed: int


def recipe(number: int, seed: int = 0, empty_share: float = 0.05) -> Recipe:
    """Recipe ``number`` of the data set: about a third plain, a quarter on white or pastel, a few without a subject."""
    rng = np.random.default_rng([seed, number])
    hidden = set(held_out())
    subject_weights = np.array(WEIGHTS)
    scene_weights = np.array([1.5 if s.name in ("studio", "pastel") else 1.0 for s in SCENES])
    look_weights = np.array([2.2 if look.name == "plain" else 1.0 for look in LOOKS])
    while True:
        subject = (
            -1
            if rng.random() < empty_share
            else int(rng.choice(len(SUBJECTS), p=subject_weights / subject_weights.sum()))
        )
        scene = int(rng.choice(len(SCENES), p=scene_weights / scene_weights.sum()))
        look = int(rng.choice(len(LOOKS), p=look_weights / look_weights.sum()))
        if (subject, scene, look) not in hidden:
            return Recipe(subject, scene, look, int(rng.integers(2**31)))


class Renderer:
    """Draws recipes at ``side`` pixels; the emoji pictures are read once and kept.

    ``variety`` (0 to 1) scales the chance in place, size and flip of the subject: less of it is learned sooner.
    """

    def __init__(self, emoji: Path, side: int = 128, variety: float = 1.0) -> None:
        self.side = side
        self.variety = variety
        self._cutouts = [self._read(emoji / f"{subject.key}.webp") for subject in SUBJECTS]

    @staticmethod
    def _read(path: Path) -> Image.Image:
        """The picture cut to its visible part, on transparent."""
        picture = Image.open(path).convert("RGBA")
        box = picture.getchannel("A").point(lambda a: 255 if a > 12 else 0).getbbox()
        return picture.crop(box)

    def render(self, what: Recipe) -> Image.Image:
        """The picture of a recipe, RGB, ``side`` x ``side``."""
        rng = np.random.default_rng(what.seed)
        picture = SCENES[what.scene].draw(rng, self.side).convert("RGB")
        if rng.random() < 0.5:
            picture = ImageOps.mirror(picture)
        if what.subject >= 0:
            self._paste(picture, self._cutouts[what.subject], SCENES[what.scene].dark, rng)
        return LOOKS[what.look].apply(picture)

    def _paste(self, picture: Image.Image, cutout: Image.Image, dark: bool, rng: np.random.Generator) -> None:
        """The subject near the middle, 54 to 76% of the side long, over a soft shadow on the ground."""
        side, variety = self.side, self.variety
        longest = side * (0.65 + 0.11 * variety * rng.uniform(-1, 1))
        scale = longest / max(cutout.size)
        width, height = (max(4, round(edge * scale)) for edge in cutout.size)
        subject = cutout.resize((width, height), Image.Resampling.LANCZOS)
        if rng.random() < 0.5 * variety:
            subject = ImageOps.mirror(subject)
        centre_x = side * np.clip(rng.normal(0.5, 0.06 * variety), 0.4, 0.6)
        centre_y = side * np.clip(rng.normal(0.53, 0.035 * variety), 0.46, 0.6)
        left = int(np.clip(centre_x - width / 2, 2, max(2, side - width - 2)))
        top = int(np.clip(centre_y - height / 2, 2, max(2, side - height - 2)))
        shadow = Image.new("L", (side, side), 0)
        thick = max(3, round(side * 0.07))
        ellipse = Image.new("L", (max(4, round(width * 0.84)), thick), 150 if dark else 110)
        base = min(top + height - thick * 6 // 10, side - thick)
        shadow.paste(ellipse.point(lambda a: a), (left + round(width * 0.08), base), _disc(ellipse.size))
        shadow = shadow.filter(ImageFilter.GaussianBlur(side * 0.016))
        picture.paste((18, 20, 34), (0, 0), shadow)
        picture.paste(subject, (left, top), subject)


@cache
def _disc(size: tuple[int, int]) -> Image.Image:
    """A filled ellipse as a mask of that size."""
    y, x = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j]
    return Image.fromarray(((x**2 + y**2 <= 1) * 255).astype(np.uint8))


def render_to(
    folder: Path, emoji: Path, side: int, count: int, *, variety: float = 1.0, seed: int = 0, block: int = 1000
) -> None:
    """Render recipes 0 to ``count`` into ``folder``, a file per block on every core; blocks that exist are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(folder, emoji, side, variety, first, min(block, count - first), seed) for first in range(0, count, block)]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        pool.map(_render_block, jobs, chunksize=1)


def _render_block(job: tuple[Path, Path, int, float, int, int, int]) -> None:
    folder, emoji, side, variety, first, count, seed = job
    file = folder / f"pictures-{first:07d}-{side}.npy"
    if not file.exists():
        unfinished = file.with_suffix(".unfinished")
        with unfinished.open("wb") as stream:
            np.save(stream, render_many(emoji, side, variety, range(first, first + count), seed))
        unfinished.rename(file)


def rendered(folder: Path, side: int) -> tuple[np.ndarray, list[Recipe]]:
    """The pictures that are in ``folder`` in the order of their recipes, and the recipes."""
    files = sorted(folder.glob(f"pictures-*-{side}.npy"))
    pictures = np.concatenate([np.load(file) for file in files])
    firsts = [int(file.name.split("-")[1]) for file in files]
    counts = [len(np.load(file, mmap_mode="r")) for file in files]
    numbers = [first + row for first, count in zip(firsts, counts, strict=True) for row in range(count)]
    return pictures, [recipe(number) for number in numbers]


def render_many(emoji: Path, side: int, variety: float, numbers: range, seed: int) -> np.ndarray:
    """The pictures of a range of recipes: uint8, (count, side, side, 3)."""
    renderer = Renderer(emoji, side, variety)
    pictures = np.empty((len(numbers), side, side, 3), dtype=np.uint8)
    for row, number in enumerate(numbers):
        pictures[row] = np.asarray(renderer.render(recipe(number, seed)))
    return pictures
