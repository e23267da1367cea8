"""The embedded model draws what it is asked for, through the same backend as any other model.

How well it does so is measured by `project.training.evaluate`. Here it is colours, which no chance gets right.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.core.management import CommandError

pytest.importorskip("torch")

from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.backends.diffusers.digests import damaged_files
from cms_ai_images.models import GenerationModel
from cms_ai_images.types import GenerationParameters, ModelSpec
from project.demo import preflight, seeds

LARGEST = 25_000_000


@pytest.fixture(scope="module")
def backend() -> DiffusersBackend:
    """The model, loaded once."""
    loaded = DiffusersBackend(ModelSpec(slug="demo", source=str(preflight.EMBEDDED_MODEL)))
    loaded.load()
    return loaded


def draw(backend: DiffusersBackend, prompt: str, **options: object) -> np.ndarray:
    """Pictures as the demo draws them, as floats from 0 to 1: (count, height, width, 3)."""
    values = {
        "operation": "text_to_image", "prompt": prompt, "negative_prompt": "", "width": 128, "height": 128, "steps": 16,
        "guidance_scale": 3.0, "seed": 11, "num_images": 4, "output_format": "png",
    }  # fmt: skip
    parameters = GenerationParameters(**{**values, **options})  # type: ignore[arg-type]
    [pictures] = backend.generate([parameters], lambda *step: None)
    return np.stack([np.asarray(picture.image) for picture in pictures]) / 255


def middle(pictures: np.ndarray) -> np.ndarray:
    """The mean colour in the middle, where the subject is."""
    height, width = pictures.shape[1:3]
    return pictures[:, height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8].mean((0, 1, 2))


def corners(pictures: np.ndarray) -> np.ndarray:
    """The mean colour of the two upper corners, where the scene is."""
    return np.concatenate([pictures[:, :20, :20], pictures[:, :20, -20:]]).mean((0, 1, 2))


def colourfulness(pictures: np.ndarray) -> float:
    """How far red, green and blue are apart."""
    return float((pictures.max(-1) - pictures.min(-1)).mean())


def test_the_folder_is_whole_small_and_described() -> None:
    folder = preflight.EMBEDDED_MODEL
    assert damaged_files(folder) == []
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= LARGEST
    assert "MIT" in (folder / "README.md").read_text()


def test_a_damaged_file_is_named_before_the_demo_starts_anything(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text(f"# restore: git checkout -- model\n{'0' * 64}  unet/config.json\n")
    with pytest.raises(CommandError, match=r"unet/config\.json .*git checkout -- model"):
        preflight.refuse_damaged_model(tmp_path)
    with pytest.raises(CommandError, match=r"SHA256SUMS .*git checkout -- project/embedded_model"):
        preflight.refuse_damaged_model(tmp_path / "missing")
    preflight.refuse_damaged_model()


@pytest.mark.parametrize("prompt", ["a red apple on a white background", "白色背景的一个苹果"])
def test_an_apple_is_red_before_white(backend: DiffusersBackend, prompt: str) -> None:
    pictures = draw(backend, prompt)
    red, green, blue = middle(pictures)
    assert red > green + 0.2
    assert red > blue + 0.1
    assert corners(pictures).min() > 0.85


def test_scenes_have_their_light(backend: DiffusersBackend) -> None:
    night, meadow = draw(backend, "a cat under a starry night sky"), draw(backend, "a cat in a meadow")
    assert corners(night).mean() < 0.35
    red, _, blue = corners(meadow)
    assert blue > red  # the sky


def test_the_styles_of_the_demo_have_their_looks(backend: DiffusersBackend) -> None:
    templates = {slug: template for slug, _, _, template in seeds.PRESETS}
    plain, sketch, sepia = (
        draw(backend, templates[slug].format(prompt="a dog on the beach"))
        for slug in ("photo", "pencil-sketch", "sepia")
    )
    assert colourfulness(sketch) < 0.5 * colourfulness(plain)
    red, green, blue = sepia.mean((0, 1, 2))
    assert red > green > blue


def test_guidance_and_unwanted_words_count(backend: DiffusersBackend) -> None:
    plain = draw(backend, "a dog on the beach")
    assert np.abs(plain - draw(backend, "a dog on the beach", guidance_scale=1.0)).mean() > 0.005
    assert np.abs(plain - draw(backend, "a dog on the beach", negative_prompt="beach")).mean() > 0.005


@pytest.mark.parametrize("prompt", ["zorblax Ünïcode 龘 🚀 кот", "cat " * 200, "猫" * 300, "🙂"])
def test_unknown_and_endless_words_give_a_picture(backend: DiffusersBackend, prompt: str) -> None:
    assert draw(backend, prompt, num_images=1).std() > 0.01


@pytest.mark.django_db
def test_the_demo_offers_sizes_that_it_draws_and_words_that_it_knows(backend: DiffusersBackend) -> None:
    seeds.seed_model(preflight.EMBEDDED_MODEL)
    model = GenerationModel.objects.get()
    assert "demo model" in model.label
    for width, height in model.sizes:
        pictures = draw(backend, "a fox", width=width, height=height, num_images=1, **model.default_parameters)
        assert pictures.shape == (1, height, width, 3)
    tokenizer = backend.pipeline.tokenizer
    for _, name, _, template in seeds.PRESETS:
        assert tokenizer.unk_token_id not in tokenizer(template.format(prompt="a fox"))["input_ids"], name
    for example in settings.CMS_AI_IMAGES["PROMPT_EXAMPLES"]:
        assert tokenizer.unk_token_id not in tokenizer(example)["input_ids"], example
