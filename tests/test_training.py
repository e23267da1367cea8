"""The training of the embedded model, whole but at toy size: from drawn cut-outs to a folder that pipelines load.

Nothing here is learned well enough to be looked at. What is tested is that every stage hands the next what it needs.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from cms_ai_images.backends.diffusers import digests  # noqa: E402
from project.training import captions, dataset, evaluate, text, train  # noqa: E402
from project.training.budget import Budget  # noqa: E402
from project.training.looks import LOOKS  # noqa: E402
from project.training.scenes import SCENES  # noqa: E402
from project.training.stage import Stage, descend  # noqa: E402
from project.training.subjects import SUBJECTS  # noqa: E402

SIDE = 64
STAGES = ("vae-inner", "vae", "vae-sharp", "denoiser")
LARGEST = 25_000_000


@pytest.fixture(scope="module")
def emoji(tmp_path_factory) -> Path:
    """A coloured disc in place of every subject's picture."""
    folder = tmp_path_factory.mktemp("emoji")
    for number, subject in enumerate(SUBJECTS):
        picture = Image.new("RGBA", (40, 40))
        ImageDraw.Draw(picture).ellipse((4, 4, 36, 30 + number % 6), fill=(number, 255 - number, number * 7 % 256, 255))
        picture.save(folder / f"{subject.key}.webp", lossless=True)
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory, emoji) -> Iterator[Path]:
    """The work folder of a training that ran for seconds, and was then continued."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(train, "SHOWN", train.SHOWN[:1])
    monkeypatch.setattr(evaluate, "STEPS", 2)
    folder = tmp_path_factory.mktemp("work")
    command = ["--work", str(folder), "--emoji", str(emoji), "--side", str(SIDE), "--pictures", "60"]
    command += ["--batch", "4", "--text-steps", "2", "--vae-share", "0.75"]
    train.main([*command, "--minutes", "0.03"])
    first = {name: checkpoint(folder, name) for name in STAGES}
    # Each gets more time than it has had, however slow this machine is.
    minutes = str(len(STAGES) * max(step["used"] for step in first.values()) / 60 + 0.02)
    train.main([*command, "--minutes", minutes])
    second = {name: checkpoint(folder, name)["step"] for name in STAGES}
    for name in ("vae-inner", "vae", "denoiser"):
        assert second[name] > first[name]["step"] > 0
    assert second["vae-sharp"] > 0  # it began anew, because the stage before it had gone on
    # With the time used up there is nothing left to do.
    train.main([*command, "--minutes", minutes])
    assert {name: checkpoint(folder, name)["step"] for name in STAGES} == second
    yield folder
    monkeypatch.undo()


def checkpoint(folder: Path, name: str) -> dict:
    """What a training would go on from."""
    return torch.load(folder / f"{name}.pt")


@pytest.fixture(scope="module")
def model(work) -> Path:
    """The exported pipeline."""
    return work / "embedded_model"


@pytest.fixture(scope="module")
def pipe(model):
    """The pipeline, loaded as anybody would."""
    found = diffusers.AutoPipelineForText2Image.from_pretrained(model, use_safetensors=True)
    found.set_progress_bar_config(disable=True)
    return found


def draw(pipe, prompt: str, **options) -> np.ndarray:
    """A picture in few steps as an array."""
    options = {"height": SIDE, "width": SIDE, "num_inference_steps": 3, "guidance_scale": 3.0} | options
    generator = torch.Generator().manual_seed(options.pop("seed", 1))
    return np.asarray(pipe(prompt, generator=generator, **options).images[0])


def test_the_tables_are_as_large_as_promised():
    assert len(SUBJECTS) >= 150
    assert len(SCENES) >= 8
    assert len(LOOKS) >= 5
    assert len({subject.key for subject in SUBJECTS}) == len({subject.name for subject in SUBJECTS}) == len(SUBJECTS)


def test_a_recipe_always_draws_the_same_picture_and_looks_differ(emoji):
    renderer = dataset.Renderer(emoji, SIDE)
    drawn = [np.asarray(renderer.render(dataset.Recipe(0, 2, look, seed=5))) for look in range(len(LOOKS))]
    assert np.array_equal(drawn[0], np.asarray(renderer.render(dataset.Recipe(0, 2, 0, seed=5))))
    assert len({picture.tobytes() for picture in drawn}) == len(LOOKS)


def test_held_out_compositions_are_never_rendered():
    hidden = set(dataset.held_out())
    assert len(hidden) == 50
    seen = {(r.subject, r.scene, r.look) for r in map(dataset.recipe, range(3000))}
    assert not hidden & seen


def test_every_word_of_a_caption_is_known():
    tokenizer, rng = text.make_tokenizer(), np.random.default_rng(0)
    for number in range(500):
        what = dataset.recipe(number)
        written = captions.caption(what, rng)
        found = tokenizer(written.replace("[UNK]", "")).input_ids
        assert tokenizer.unk_token_id not in found, written
        assert len(found) <= text.LENGTH


class Line:
    """The smallest thing that a stage can teach: to double a number."""

    def __init__(self, path: Path, minutes: float, **options) -> None:
        self.module = torch.nn.Linear(1, 1)
        self.optimizer = torch.optim.AdamW(self.module.parameters(), lr=0.1)
        self.shown = 0
        self.stage = Stage(path, minutes, {"line": self.module, "optimizer": self.optimizer}, self.show, **options)

    def show(self) -> None:
        self.shown += 1

    def learn(self) -> list[int]:
        """The numbers of the steps that were left."""
        numbers = []
        for number in self.stage.steps():
            x = torch.rand(8, 1)
            descend(self.optimizer, (self.module(x) - 2 * x).square().mean())
            numbers.append(number)
        return numbers

    def weights(self) -> tuple[list, dict]:
        """What was learned, and the optimizer's memory."""
        return [value.tolist() for value in self.module.parameters()], self.optimizer.state_dict()


def test_a_stage_goes_on_where_it_was(tmp_path):
    first = Line(tmp_path / "line.pt", 0.01)
    numbers = first.learn()
    assert numbers == list(range(1, len(numbers) + 1))
    assert first.shown == 1
    kept = torch.load(tmp_path / "line.pt")
    assert kept["step"] == len(numbers)
    assert kept["used"] >= 0.6

    again = Line(tmp_path / "line.pt", 0.01)
    assert again.weights() == first.weights()
    assert (again.learn(), again.shown) == ([], 0)  # its time is used up

    longer = Line(tmp_path / "line.pt", kept["used"] / 60 + 0.01)
    assert longer.learn()[0] == len(numbers) + 1
    assert longer.weights() != first.weights()


def test_a_stage_begins_anew_when_the_one_before_has_gone_on(tmp_path):
    path, before = tmp_path / "line.pt", tmp_path / "before.pt"
    before.touch()
    steps = len(Line(path, 0.01, after=before).learn())
    now = path.stat().st_mtime
    os.utime(before, (now - 1, now - 1))
    assert Line(path, 1, after=before).stage.step == steps > 0
    os.utime(before, (now + 1, now + 1))
    assert Line(path, 1, after=before).stage.step == 0


def test_a_half_written_checkpoint_never_replaces_a_whole_one(tmp_path):
    line = Line(tmp_path / "line.pt", 0.01)
    steps = len(line.learn())
    line.stage.step = (number for number in range(3))  # what cannot be written stops the writing midway
    with pytest.raises(TypeError, match="generator"):
        line.stage.save()
    assert checkpoint(tmp_path, "line")["step"] == steps


def test_a_learning_rate_begins_low_and_goes_on_where_it_was(tmp_path):
    line = Line(tmp_path / "line.pt", 10)
    next(line.stage.steps())
    assert line.optimizer.param_groups[0]["lr"] < 0.01  # of 0.1
    line.stage.budget = Budget(10, used=300)
    line.stage.save()
    again = Line(tmp_path / "line.pt", 10)
    next(again.stage.steps())
    assert again.optimizer.param_groups[0]["lr"] == pytest.approx(0.0524, rel=0.05)  # half of the time is left


def test_the_folder_is_small_and_holds_no_code(model):
    files = [file for file in model.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= LARGEST
    assert {file.suffix for file in files} <= {".safetensors", ".json", ".txt", ""}
    parts = json.loads((model / "model_index.json").read_text())
    assert {part[0] for part in parts.values() if isinstance(part, list)} <= {"diffusers", "transformers", None}


def test_the_folder_has_digests_and_the_command_that_restores_it(model, tmp_path):
    assert digests.damaged_files(model) == []
    copy = shutil.copytree(model, tmp_path / "copy")
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert digests.damaged_files(copy) == ["unet/diffusion_pytorch_model.safetensors"]
    assert digests.restore_command(copy) == "git checkout -- project/embedded_model"


@pytest.mark.parametrize(("height", "width"), [(SIDE, SIDE), (SIDE, 96), (72, 56)])
@pytest.mark.parametrize("prompt", ["a watercolor painting of a cat on the beach", "草地上的一只狗,像素风"])
def test_it_draws_english_and_chinese_at_several_sizes(pipe, prompt, height, width):
    assert draw(pipe, prompt, height=height, width=width).shape == (height, width, 3)


@pytest.mark.parametrize("prompt", ["", "zorblax Ünïcode 龘 🚀 кот", "cat " * 200, "猫" * 300])
def test_unknown_and_endless_words_give_a_picture(pipe, prompt):
    assert draw(pipe, prompt).shape == (SIDE, SIDE, 3)


def test_seed_words_and_unwanted_words_count(pipe):
    first = draw(pipe, "a cat")
    assert np.array_equal(first, draw(pipe, "a cat"))
    assert not np.array_equal(first, draw(pipe, "a cat", seed=2))
    assert not np.array_equal(first, draw(pipe, "pixel art of a volcano at sunset"))
    assert not np.array_equal(first, draw(pipe, "a cat", negative_prompt="pixel art, in the forest"))


def test_a_picture_is_changed_and_a_hole_filled_from_the_same_folder(model):
    start = Image.new("RGB", (SIDE, SIDE), (200, 60, 40))
    change = diffusers.AutoPipelineForImage2Image.from_pretrained(model, use_safetensors=True)
    assert change("a dog", image=start, strength=0.7, num_inference_steps=4).images[0].size == start.size
    fill = diffusers.AutoPipelineForInpainting.from_pretrained(model, use_safetensors=True)
    mask = Image.new("L", start.size)
    mask.paste(255, (16, 16, 48, 48))
    options = {"height": SIDE, "width": SIDE, "num_inference_steps": 4}
    assert fill("a star", image=start, mask_image=mask, **options).images[0].size == start.size


def test_the_evaluation_reports_shares(work, model):
    command = ["--work", str(work), "--model", str(model), "--side", str(SIDE), "--minutes", "0.02"]
    assert evaluate.main([*command, "--prompts", "8", "--held-out", "4"]) == 1  # it has learned nothing yet
    report = json.loads((work / "evaluation.json").read_text())
    assert report["prompts"]["pictures"] == 8
    assert report["held_out_compositions"]["pictures"] == 4
    for part in ("prompts", "held_out_compositions"):
        assert all(0 <= report[part][share] <= 1 for share in ("subject", "scene", "look", "all_three"))
    assert (work / "sheet.png").exists()
    assert (work / "evaluation.png").exists()


def test_the_evaluation_names_what_was_not_reached():
    assert evaluate.missed({"subject": 0.75, "scene": 0.95, "look": 0.85}) == []
    assert evaluate.missed({"subject": 0.8, "scene": 0.9, "look": 0.85}) == ["scene 0.9 of 0.95"]
