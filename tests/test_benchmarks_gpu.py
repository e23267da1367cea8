"""The GPU's benchmarks at toy size: every figure is there, and the full sizes are those of the published models."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from django.conf import settings
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu import percentile
from benchmarks.gpu_models import MODELS, networks


def measure(*arguments: str) -> dict[str, Any]:
    """What the command prints."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--tiny", "--repeats", "1", "--steps", "3", *arguments]
    process = subprocess.run(command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(process.stdout))


def test_everything_is_measured_at_toy_size() -> None:
    report = measure("--batches", "2", "--tasks", "4", "--queue-batch", "2")
    assert report["tiny"]
    assert report["matmul_tflops"] > 0
    assert [(case["model"], case["mode"], case["size"], case["batch"]) for case in report["cases"]] == [
        ("z_image", "eager", 64, 2),
        ("sdxl", "eager", 64, 2),
    ]
    for case in report["cases"]:
        assert case["steps"] == 3
        assert case["drawn_at_once"] == 2
        assert 0 < case["fraction_of_floor"] < 1
        assert case["seconds_per_call"] > 0
        assert case["ms_per_forward"] > 0
        assert case["pictures_per_second"] == pytest.approx(2 / case["seconds_per_call"], rel=1e-3)
    assert [(figures["model"], figures["size"], figures["tasks"]) for figures in report["queue"]] == [
        ("z_image", 64, 4),
        ("sdxl", 64, 4),
    ]
    for figures in report["queue"]:
        assert figures["pictures_per_second"] > 0
        assert 0 < figures["alone_p50_seconds"] <= figures["alone_p99_seconds"]


SIZES = {
    "z_image": {"transformer": 6.15e9, "text_encoder": 4.02e9, "vae": 0.0838e9},
    "sdxl": {"unet": 2.567e9, "text_encoder": 0.123e9, "text_encoder_2": 0.694e9, "vae": 0.0837e9},
}
"""Parameters of the published models."""


@pytest.mark.parametrize("name", list(MODELS))
def test_full_models_are_as_large_as_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        parts = networks(MODELS[name].pipeline(tiny=False))
    sizes = {part: sum(weight.numel() for weight in network.parameters()) for part, network in parts.items()}
    assert sizes == pytest.approx(SIZES[name], rel=0.01)


@pytest.mark.parametrize(("size", "tflop"), [(1024, 55.1), (512, 12.5)])
def test_z_image_does_the_known_arithmetic(size: int, tflop: float) -> None:
    with torch.device("meta"):
        transformer = MODELS["z_image"].pipeline(tiny=False).transformer
        latents = [torch.empty(16, 1, size // 8, size // 8)]
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            transformer(latents, torch.ones(1), [torch.empty(64, 2560)])
    assert counter.get_total_flops() / 1e12 == pytest.approx(tflop, rel=0.05)


def test_percentiles() -> None:
    values = [3.0, 1.0, 2.0, 4.0]
    assert [percentile(values, percent) for percent in (1, 50, 75, 99, 100)] == [1.0, 2.0, 3.0, 4.0, 4.0]
