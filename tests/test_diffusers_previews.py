"""Previews without a VAE: they resemble what comes, are grouped by request, and cost nothing until somebody looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)
from PIL import Image

from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.backends.diffusers.previews import Frame, Previewer, fit, foresee
from cms_ai_images.types import PreviewSource

from . import tiny_pipelines
from .test_backends import draw, ignore_steps, parameters
from .test_diffusers_backend import backend


class Looker:
    """A step callback that looks at the previews of each step."""

    def __init__(self) -> None:
        self.seen: list[list[list[Image.Image]]] = []
        self.offered = 0

    def __call__(self, step: int, total: int, previews: PreviewSource | None = None) -> None:
        if previews is not None:
            self.offered += 1
            self.seen.append(previews())


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> DiffusersBackend:
    """A toy Z-Image whose latents mean something."""
    tiny = backend(tiny_pipelines.build_z_image(tmp_path_factory.mktemp("taught") / "model"), dtype="float32")
    tiny.load()
    vae = tiny.pipeline.vae.cpu()
    tiny_pipelines.teach_colors(vae)
    vae.to(tiny.pipeline.transformer.device)
    tiny.adopt(tiny.pipeline)
    return tiny


def resemblance(preview: Image.Image, picture: Image.Image) -> float:
    """The correlation of two pictures, the second one made as small as the first."""
    small = picture.resize(preview.size, Image.Resampling.BOX)
    values = [np.asarray(each).astype(float).ravel() for each in (preview, small)]
    return float(np.corrcoef(*values)[0, 1])


def test_last_preview_resembles_the_picture(taught: DiffusersBackend) -> None:
    looker = Looker()
    requests = [
        parameters(width=256, height=128, num_images=2),
        parameters(prompt="a cat at sunset", width=256, height=128),
    ]
    lists = taught.generate(requests, looker)
    assert looker.offered == 3
    assert [[each.size for each in images] for images in looker.seen[-1]] == [[(32, 16)] * 2, [(32, 16)]]
    for images, pictures in zip(looker.seen[-1], lists, strict=True):
        for preview, picture in zip(images, pictures, strict=True):
            assert preview.mode == "RGB"
            assert resemblance(preview, picture.image) > 0.9
    # It is this picture's, not any picture's.
    assert abs(resemblance(looker.seen[-1][0][0], lists[0][1].image)) < 0.5


def test_preview_is_never_large(taught: DiffusersBackend) -> None:
    [image] = taught.previewer.images(torch.zeros(1, 16, 100, 300))  # type: ignore[union-attr]
    assert image.size == (100, 33)


def test_request_that_is_not_being_drawn_has_an_empty_list(taught: DiffusersBackend) -> None:
    looker = Looker()
    taught.generate([parameters(prompt="fox"), parameters(prompt="fox " * 50)], looker)
    assert [[len(images) for images in groups] for groups in looker.seen] == [[1, 0]] * 3 + [[0, 1]] * 3


def test_looking_changes_no_picture(taught: DiffusersBackend) -> None:
    assert draw(taught)[0].image.tobytes() == draw(taught, Looker())[0].image.tobytes()


def test_nothing_is_computed_for_those_who_do_not_look(taught: DiffusersBackend, monkeypatch: Any) -> None:
    looked: list[int] = []
    monkeypatch.setattr(Previewer, "images", lambda self, latents: looked.append(1))
    taught.generate([parameters()], ignore_steps)
    assert looked == []


@pytest.mark.parametrize("build", [tiny_pipelines.build_stable_diffusion, tiny_pipelines.build_sdxl])
def test_every_family_offers_previews(build: Any, tmp_path: Path) -> None:
    looker = Looker()
    tiny = backend(build(tmp_path / "model"))
    draw(tiny, looker, num_images=2)
    assert looker.offered == 3
    assert [len(images) for [images] in looker.seen] == [2, 2, 2]
    assert (looker.seen[0][0][0].size) == (32, 16)


def test_half_precision_with_an_overflowing_vae(tmp_path: Path) -> None:
    tiny = backend(tiny_pipelines.build_sdxl(tmp_path / "model"), dtype="float16")
    tiny.load()
    assert tiny.pipeline.vae.config.force_upcast
    assert tiny.pipeline.vae.dtype == torch.float16
    assert tiny.previewer is not None
    assert torch.isfinite(tiny.previewer.matrix).all()


# -- Models without previews -------------------------------------------------------------------------------------------


def test_latents_of_another_shape_have_no_previews(taught: DiffusersBackend) -> None:
    previewer = taught.previewer
    assert previewer is not None
    assert previewer.understands(torch.zeros(1, 16, 8, 8))
    assert not previewer.understands(torch.zeros(1, 64, 16))
    assert not previewer.understands(torch.zeros(1, 4, 8, 8))
    assert not previewer.understands(None)


def test_vae_that_cannot_be_sampled_means_no_previews(taught: DiffusersBackend, caplog: Any) -> None:
    caplog.set_level("INFO")
    looker = Looker()
    pipeline = taught.pipeline

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ValueError("not enough values to unpack (expected 5, got 4)")

    pipeline.vae.decode, decode = refuse, pipeline.vae.decode
    assert fit(pipeline, "strange") is None
    pipeline.vae.decode = decode
    assert "strange: no previews, its VAE cannot be sampled (not enough values" in caplog.text
    taught.previewer, previewer = None, taught.previewer
    draw(taught, looker)
    taught.previewer = previewer
    assert looker.offered == 0


# -- Looking ahead -----------------------------------------------------------------------------------------------------

SCHEDULERS = {
    "euler": (EulerDiscreteScheduler(), "noise"),
    "flow": (FlowMatchEulerDiscreteScheduler(shift=3.0), "flow"),
    "dpm": (DPMSolverMultistepScheduler(), "noise"),
    "dpm_flow": (DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction"), "flow"),
    "unipc": (UniPCMultistepScheduler(), "noise"),
}


@pytest.mark.parametrize("name", list(SCHEDULERS))
def test_picture_is_foreseen_from_the_second_step_on(name: str) -> None:
    scheduler, kind = SCHEDULERS[name]
    torch.manual_seed(0)
    picture, noise = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    prediction = noise - picture if kind == "flow" else noise
    scheduler.set_timesteps(10)
    level = float(scheduler.sigmas[0])
    if kind == "flow":
        latents = level * noise + (1 - level) * picture
    else:
        latents = picture + level * noise
        if float(scheduler.init_noise_sigma) <= 1:
            latents = latents / (level**2 + 1) ** 0.5
    before = None
    for number, timestep in enumerate(scheduler.timesteps, start=1):
        scheduler.scale_model_input(latents, timestep) if hasattr(scheduler, "scale_model_input") else None
        latents = scheduler.step(prediction, timestep, latents, return_dict=False)[0]
        now = Frame(latents=latents, index=scheduler.step_index)
        foreseen = foresee(scheduler, now, before)
        if number > 1:
            assert torch.allclose(foreseen, picture, atol=0.02), number
        before = now


def test_scheduler_without_noise_levels_shows_what_there_is() -> None:
    latents = torch.randn(1, 4, 8, 8)
    assert foresee(DDIMScheduler(), Frame(latents=latents, index=None), None) is latents
