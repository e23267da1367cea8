"""A small network that names subject, scene and look of a picture; it learns from rendered pictures alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .budget import Budget
from .dataset import Recipe
from .looks import LOOKS
from .scenes import SCENES
from .subjects import SUBJECTS

SIDE = 64


class Classifier(nn.Module):
    """Four strided stages and a pooled summary; one answer for each of the three questions."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 192)
        stages: list[nn.Module] = []
        for first, second in pairwise(widths):
            stages += [nn.Conv2d(first, second, 3, 2, 1), nn.GroupNorm(8, second), nn.ReLU()]
            stages += [nn.Conv2d(second, second, 3, 1, 1), nn.GroupNorm(8, second), nn.ReLU()]
        self.stages = nn.Sequential(*stages)
        self.heads = nn.ModuleList(nn.Linear(384, size) for size in (len(SUBJECTS) + 1, len(SCENES), len(LOOKS)))

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """(n, 3, 64, 64) in -1..1 to the scores of subjects (the last one: none), scenes and looks."""
        x = self.stages(pictures)
        x = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
        return [head(x) for head in self.heads]


def prepare(pictures: np.ndarray) -> torch.Tensor:
    """uint8 (n, h, w, 3) to the classifier's input."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    return F.interpolate(x, (SIDE, SIDE), mode="area").contiguous(memory_format=torch.channels_last)


def labels(recipes: list[Recipe]) -> torch.Tensor:
    """(n, 3) numbers of subject, scene and look."""
    none = len(SUBJECTS)
    return torch.tensor([(what.subject if what.subject >= 0 else none, what.scene, what.look) for what in recipes])


def _disturb(x: torch.Tensor) -> torch.Tensor:
    """Shift, soften and grain, as a generator's pictures differ a little from the rendered ones."""
    x = torch.roll(x, tuple(torch.randint(-3, 4, (2,)).tolist()), (2, 3))
    if torch.rand(()) < 0.5:
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), "replicate"), 3, 1)
    return x + 0.05 * torch.rand(()) * torch.randn_like(x)


def train_classifier(
    pictures: np.ndarray, recipes: list[Recipe], minutes: float, log: Callable[[str], None]
) -> tuple[Classifier, list[float]]:
    """Train for a time; the last pictures are kept aside and give the three shares that it gets right."""
    model = Classifier().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    x = torch.cat([prepare(pictures[i : i + 500]).to(torch.bfloat16) for i in range(0, len(pictures), 500)])
    y, cut = labels(recipes), len(pictures) - min(600, len(pictures) // 10)
    budget, step = Budget(minutes), 0
    while budget.progress < 1:
        for group in optimizer.param_groups:
            group["lr"] = budget.learning_rate(2e-3)
        rows = torch.randint(0, cut, (64,))
        with torch.autocast("cpu", torch.bfloat16):
            answers = model(_disturb(x[rows].float()).contiguous(memory_format=torch.channels_last))
        loss = sum(F.cross_entropy(answer.float(), y[rows, i]) for i, answer in enumerate(answers))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1
        if step % 100 == 0:
            log(f"classifier step {step} at {budget.used:.0f} s: loss {loss.item():.3f}")
    model.eval()
    right = classify(model, x[cut:]).eq(y[cut:]).float().mean(0).tolist()
    log(f"classifier on pictures kept aside: {right}")
    return model, right


@torch.no_grad()
def classify(model: Classifier, x: torch.Tensor) -> torch.Tensor:
    """(n, 3) numbers of the likeliest subject, scene and look."""
    parts = [torch.stack([a.argmax(1) for a in model(x[i : i + 100].float())], 1) for i in range(0, len(x), 100)]
    return torch.cat(parts)
