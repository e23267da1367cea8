"""Columns as a browser can draw them without a script or a style: every place and length is an attribute in percent."""

from __future__ import annotations

import math
from typing import Any

HEIGHT = 100.0
GAP = 0.25
"""Of a column's width, left free on its both sides together."""
LABELS = 12
"""Most columns that have room for a label, also on a phone."""


def columns(values: list[tuple[str, str, int]]) -> dict[str, Any]:
    """Bars and grid lines for (label, tooltip, value) of each column; percentages of the width and of the height."""
    top = _ceiling(max((value for _label, _tip, value in values), default=0))
    width = 100.0 / max(len(values), 1)
    every = math.ceil(len(values) / LABELS)
    bars = [
        {
            "label": label if number % every == 0 else "",
            "tip": tip,
            "value": value,
            "x": _percent(width * (number + GAP / 2)),
            "middle": _percent(width * (number + 0.5)),
            "width": _percent(width * (1 - GAP)),
            "y": _percent(HEIGHT * (1 - value / top)),
            "height": _percent(HEIGHT * value / top),
        }
        for number, (label, tip, value) in enumerate(values)
    ]
    ticks = [{"value": top * part // 2, "y": _percent(HEIGHT * (1 - part / 2))} for part in range(3)]
    return {"bars": bars, "ticks": ticks}


def share(value: int, largest: int) -> str:
    """The length of a bar beside the largest of its list."""
    return _percent(HEIGHT * value / max(largest, 1))


def _ceiling(value: int) -> int:
    """The next round number whose half is a whole one: 2, 4, 6, 8, 10, 20, 30, 40, 50, ..."""
    size = 10 ** max(0, math.floor(math.log10(max(value, 1))))
    return next(step * size for step in (2, 3, 4, 5, 6, 8, 10) if step * size >= value and step * size % 2 == 0)


def _percent(value: float) -> str:
    """With a point, whatever the language."""
    return f"{value:.2f}%"
