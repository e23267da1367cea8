"""What a benchmark says, and how several rounds become one figure."""

from __future__ import annotations

import dataclasses
import math
import statistics
import sys
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """One figure, the mark that it should reach where there is one, and what else was seen.

    `at_most` tells that less is better.
    """

    value: float
    unit: str
    mark: float | None = None
    at_most: bool = False
    details: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        """Whether the figure is as good as its mark; `None` without a mark."""
        if self.mark is None:
            return None
        return self.value <= self.mark if self.at_most else self.value >= self.mark

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of this benchmark."""
        figures = {"value": self.value, "unit": self.unit, "mark": self.mark, "reached": self.reached, **self.details}
        return {name: rounded(value) for name, value in figures.items()}


def median(values: list[float]) -> float:
    """The middle: on a machine that does other things too, one disturbed round changes nothing."""
    return statistics.median(values)


def median_error(values: list[float]) -> float | None:
    """The standard error of that middle, were the rounds spread normally; `None` for a single round."""
    return math.sqrt(math.pi / 2 / len(values)) * statistics.stdev(values) if len(values) > 1 else None


def rounded(value: Any) -> Any:
    """Four digits are more than these measurements are worth."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return [rounded(each) for each in value] if isinstance(value, list) else value


def say(text: str) -> None:
    """What goes on, for whoever waits; standard output is for the JSON object alone."""
    print(text, file=sys.stderr, flush=True)
