"""A stage of the training: one step after the other for some minutes, and a file from which it goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from .budget import Budget, Every

logger = logging.getLogger(__name__)


class Stage:
    """Keeps ``parts`` (modules and optimizers) in a file of its own name, and goes on from there.

    Learning rates rise to those that the optimizers were made with, and fall to nothing. With ``after``, the file of
    the stage before, it begins anew when that one has gone on since.
    """

    def __init__(
        self,
        path: Path,
        minutes: float,
        parts: dict[str, torch.nn.Module | Optimizer],
        show: Callable[[], None],
        *,
        after: Path | None = None,
    ) -> None:
        self.path, self.parts, self.show = path, parts, show
        self.step, used = 0, 0.0
        if path.exists() and (after is None or path.stat().st_mtime > after.stat().st_mtime):
            state = torch.load(path, map_location="cpu")
            for name, part in parts.items():
                part.load_state_dict(state[name])
            self.step, used = state["step"], state["used"]
            logger.info("%s goes on from step %d", path.stem, self.step)
        self.budget = Budget(minutes, used)
        self._saying = Every(20)

    def steps(self) -> Iterator[int]:
        """Their numbers, from 1, until the time is up. What was learned is kept and shown meanwhile and at the end."""
        first, saving, showing = self.step, Every(120), Every(240)
        optimizers = [part for part in self.parts.values() if isinstance(part, Optimizer)]
        while self.budget.progress < 1:
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = self.budget.learning_rate(optimizer.defaults["lr"])
            self.step += 1
            yield self.step
            if saving.due():
                self.save()
            if showing.due():
                self.show()
        if self.step > first:
            self.save()
            self.show()

    def say(self, **measured: torch.Tensor) -> None:
        """Log what a step has measured, now and then."""
        if self._saying.due():
            words = ", ".join(f"{name} {value.item():.4f}" for name, value in measured.items())
            logger.info("%s step %d at %.0f s: %s", self.path.stem, self.step, self.budget.used, words)

    def save(self) -> None:
        """Write everything needed to go on."""
        parts = {name: part.state_dict() for name, part in self.parts.items()}
        keep(self.path, {**parts, "step": self.step, "used": self.budget.used})


def keep(path: Path, state: Any) -> None:
    """Write a file of tensors. Stopped in the middle, it leaves the file that was there before."""
    draft = path.with_suffix(".part")
    torch.save(state, draft)
    draft.replace(path)


def descend(optimizer: Optimizer, loss: torch.Tensor, steepest: float = 1.0) -> None:
    """One step down the slope of ``loss``, which counts for no more than ``steepest``."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_([weight for group in optimizer.param_groups for weight in group["params"]], steepest)
    optimizer.step()


def compiled(function: Callable, device: torch.device) -> Callable:
    """The same, faster on a GPU. On a CPU compiling takes minutes and gains little."""
    return torch.compile(function) if device.type == "cuda" else function
