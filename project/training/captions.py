"""Words for the pictures: many natural wordings in English and Chinese, and the vocabulary they add up to."""

from __future__ import annotations

import re

import numpy as np

from .dataset import Recipe
from .looks import LOOKS
from .scenes import SCENES
from .subjects import SUBJECTS

# Words that change nothing: the model learns to look past them, and past unknown words, which become "[UNK]".
_FILLERS_EN = ("cute", "little", "beautiful", "nice", "lovely", "big", "small", "funny", "happy", "[UNK]")
_FILLERS_ZH = ("可爱的", "漂亮的", "美丽的", "大", "小", "[UNK]")
_TAILS_EN = ("high quality", "highly detailed", "beautiful light", "masterpiece", "4k", "sharp", "[UNK] [UNK]")
_TAILS_ZH = ("高清", "高质量", "细节丰富", "[UNK][UNK]")
# What people write into the field for unwanted things; trained with any picture, so that it asks for nothing.
_NEGATIVES = (
    "blurry, low quality",
    "low quality, worst quality, blurry",
    "text, watermark",
    "ugly, deformed, bad",
    "模糊,低质量",
    "文字,水印",
)
_LEADING = re.compile(r"^(in front of|at the bottom of|in|on|at|by|under|among) ")
_TRAILING = re.compile(r"[上里下中前时]$")
_PLAIN_LOOK = next(i for i, look in enumerate(LOOKS) if look.name == "plain")
_DEFAULT_SCENE = next(i for i, scene in enumerate(SCENES) if scene.name == "studio")

_PLURAL = {"grapes", "cherries", "french fries", "fries", "books", "glasses", "scissors", "headphones", "noodles"}
_MASS = {"sushi", "coffee", "tea", "milk", "wine", "beer", "bread", "corn", "broccoli", "chocolate", "cheese", "fire"}
_UNIQUE = {"sun", "moon", "earth"}


def _pick(rng: np.random.Generator, options: tuple[str, ...], first: float = 0.0) -> str:
    """One of the options; with chance ``first`` the first one."""
    if len(options) == 1 or rng.random() < first:
        return options[0]
    return options[int(rng.integers(len(options)))]


def _article(words: str, name: str) -> str:
    if name in _PLURAL or name in _MASS:
        return words
    if name in _UNIQUE:
        return f"the {words}"
    return f"an {words}" if words[0] in "aeio" or words == "umbrella" else f"a {words}"


def _thing_en(subject: int, rng: np.random.Generator, fill: float) -> str:
    name = _pick(rng, SUBJECTS[subject].en, 0.6)
    words = f"{_pick(rng, _FILLERS_EN)} {name}" if rng.random() < fill else name
    return words if rng.random() < 0.15 else _article(words, name)


def english(what: Recipe, rng: np.random.Generator, fill: float = 0.2) -> str:
    """A wording such as "a watercolor painting of a cat on the beach"."""
    scene, look = SCENES[what.scene], LOOKS[what.look]
    place = _pick(rng, scene.en, 0.4)
    if what.subject < 0:
        body = _LEADING.sub("", place)
    elif what.scene == _DEFAULT_SCENE and rng.random() < 0.6:
        body = _thing_en(what.subject, rng, fill)
    else:
        thing = _thing_en(what.subject, rng, fill)
        body = f"{place}, {thing}" if rng.random() < 0.1 else f"{thing} {place}"
    text = _pick(rng, look.en, 0.6 if what.look == _PLAIN_LOOK else 0.4).format(body)
    return f"{text}, {_pick(rng, _TAILS_EN)}" if rng.random() < fill / 2 else text


def chinese(what: Recipe, rng: np.random.Generator, fill: float = 0.2) -> str:
    """A wording such as "草地上的一只狗,像素风"."""
    scene, look = SCENES[what.scene], LOOKS[what.look]
    place = _pick(rng, scene.zh, 0.4)
    if what.subject < 0:
        body = _TRAILING.sub("", place)
    else:
        name = _pick(rng, SUBJECTS[what.subject].zh, 0.6)
        name = _pick(rng, _FILLERS_ZH) + name if rng.random() < fill else name
        name = ("", "一只", "一个")[rng.integers(3)] + name
        if what.scene == _DEFAULT_SCENE and rng.random() < 0.6:
            body = name
        else:
            forms = (f"{place}的{name}", f"{name}在{place}", f"{name},{place}", f"{place},{name}")
            body = forms[int(rng.choice(4, p=(0.45, 0.35, 0.1, 0.1)))]
    text = _pick(rng, look.zh, 0.6 if what.look == _PLAIN_LOOK else 0.4).format(body)
    return f"{text},{_pick(rng, _TAILS_ZH)}" if rng.random() < fill / 2 else text


def caption(what: Recipe, rng: np.random.Generator) -> str:
    """Words for a picture: three in five English, the others Chinese."""
    return english(what, rng) if rng.random() < 0.6 else chinese(what, rng)


def empty_caption(rng: np.random.Generator) -> str:
    """What stands in for a dropped caption: mostly nothing, else a usual list of unwanted things."""
    return "" if rng.random() < 0.7 else _pick(rng, _NEGATIVES)


def vocabulary() -> dict[str, int]:
    """Every word and every Chinese character of the wordings; the five special tokens come first."""
    texts = [*_FILLERS_EN, *_FILLERS_ZH, *_TAILS_EN, *_TAILS_ZH, *_NEGATIVES, "a an the 一只个在的"]
    for row in (*SUBJECTS, *SCENES, *LOOKS):
        texts += [*row.en, *row.zh]
    words: dict[str, None] = dict.fromkeys(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))
    for text in texts:
        cleaned = text.replace("[UNK]", " ").replace("{}", " ").lower()
        for piece in re.findall(r"[\u4e00-\u9fff]|[a-z0-9]+|[^\w\s]", cleaned):
            words[piece] = None
    words["##s"] = words["##es"] = None
    return {word: number for number, word in enumerate(words)}
