"""What the JSON of models and presets may hold: checked when it is written, so that no request fails on it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from cms_ai_images.types import STANDARD, OutputFormat


def is_whole(value: Any) -> bool:
    """A whole number; JSON's `true` is not one."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """A finite number: Python reads `NaN` from JSON, and databases refuse it."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def is_storable(value: Any) -> bool:
    """Whether no number in it is `NaN` or infinite."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


PARAMETERS: dict[str, Callable[[Any], bool]] = {
    "steps": is_whole,
    "guidance_scale": is_number,
    "strength": is_number,
    "width": is_whole,
    "height": is_whole,
    "seed": is_whole,
    "negative_prompt": lambda value: isinstance(value, str),
    "output_format": lambda value: value in OutputFormat.values,
}
"""What a preset may set, and what each value must be."""
MODEL_PARAMETERS = ("steps", "guidance_scale", "strength", "output_format")
"""For which of them a model may have a default."""


def wrong_parameters(parameters: dict[str, Any], known: Iterable[str]) -> list[str]:
    """The names that are not known, or whose value is of the wrong kind."""
    allowed = set(known)
    return [name for name, value in parameters.items() if name not in allowed or not PARAMETERS[name](value)]


def is_list_of_sizes(value: Any) -> bool:
    """Whether this is [[width, height], ...] that an image model can be asked for."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(size, list)
            and len(size) == 2
            and all(is_whole(side) and 8 <= side <= 8192 and side % 8 == 0 for side in size)
            for size in value
        )
    )


def is_dict_of_ranges(value: Any) -> bool:
    """Whether this is {name: [lowest, highest], ...} with lowest <= highest."""
    return isinstance(value, dict) and all(
        isinstance(pair, list) and len(pair) == 2 and all(map(is_number, pair)) and pair[0] <= pair[1]
        for pair in value.values()
    )


LIMIT_BOUNDS: dict[str, tuple[Callable[[Any], bool], float, float]] = {
    "steps": (is_whole, 1, 1000),
    "guidance_scale": (is_number, 0, 100),
    "strength": (is_number, 0, 1),
    "num_images": (is_whole, 1, 100),
}
"""Of which parameters a model may have limits: their kind, and what lies within reason."""
MAX_BATCH = 1024
"""Most pictures in one call: beyond it somebody has mistyped."""
MAX_POINTS = 1_000_000
"""Most points for one picture; a task's sum must fit into its column."""


def wrong_limits(limits: dict[str, list[float]]) -> list[str]:
    """The names that are not known, or whose [lowest, highest] cannot be."""
    return [
        name
        for name, pair in limits.items()
        if name not in LIMIT_BOUNDS
        or not all(LIMIT_BOUNDS[name][0](limit) for limit in pair)
        or not LIMIT_BOUNDS[name][1] <= pair[0] <= pair[1] <= LIMIT_BOUNDS[name][2]
    ]


def is_batch_limit(value: Any) -> bool:
    """Whether this is a number of pictures, or {"1024x768": number, ..., "default": number}."""
    if isinstance(value, dict):
        names = all(name == "default" or re.fullmatch(r"[1-9]\d{0,3}x[1-9]\d{0,3}", name) for name in value)
        return names and all(is_whole(limit) and 1 <= limit <= MAX_BATCH for limit in value.values())
    return is_whole(value) and 1 <= value <= MAX_BATCH


def is_quality_list(value: Any) -> bool:
    """Whether this is {name: {"steps": number, "guidance_scale": number}, ...}, and sets nothing out of reason."""
    return isinstance(value, dict) and all(
        re.fullmatch(r"[a-z][-a-z0-9_]{0,19}", name)
        and name != STANDARD
        and isinstance(sets, dict)
        and set(sets) <= {"steps", "guidance_scale"}
        and all(_is_within_reason(parameter, setting) for parameter, setting in sets.items())
        for name, sets in value.items()
    )


def _is_within_reason(parameter: str, value: Any) -> bool:
    is_its_kind, low, high = LIMIT_BOUNDS[parameter]
    return is_its_kind(value) and low <= value <= high


def is_price_list(value: Any) -> bool:
    """Whether this is {operation: {quality: points, ...}, ...}."""
    return isinstance(value, dict) and all(
        isinstance(prices, dict) and all(is_whole(points) and 0 <= points <= MAX_POINTS for points in prices.values())
        for prices in value.values()
    )


def is_list_of_objects(value: Any) -> bool:
    """Whether this is [{...}, ...]."""
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
