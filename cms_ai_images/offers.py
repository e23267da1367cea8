"""What a model does for one person: what its row says, within that person's limits."""

from __future__ import annotations

import dataclasses
from typing import Any

from cms_ai_images.exceptions import ModelBeyondLimits, QualityNotOffered
from cms_ai_images.models import GenerationModel
from cms_ai_images.models.generation_models import FALLBACK_LIMITS, FALLBACK_PARAMETERS
from cms_ai_images.models.shapes import LIMIT_BOUNDS
from cms_ai_images.types import STANDARD, Limits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Offer:
    """A model, seen with somebody's limits and in one of its qualities.

    Raises `QualityNotOffered`, and what cannot be offered at all raises `ModelBeyondLimits` when it is asked for.
    """

    model: GenerationModel
    limits: Limits
    quality: str = STANDARD

    def __post_init__(self) -> None:
        if self.quality not in self.qualities:
            raise QualityNotOffered(model=self.model.label, qualities=", ".join(self.qualities))

    @property
    def qualities(self) -> list[str]:
        """The names that can be chosen, `standard` first; none that would set more steps than this person may have."""
        most = self.limits.steps
        possible = [name for name, sets in self.model.qualities.items() if most is None or sets.get("steps", 0) <= most]
        return [STANDARD, *possible]

    @property
    def operations(self) -> list[str]:
        """What of it this person may ask for."""
        return [operation for operation in self.model.operations if self.limits.allows(operation)]

    @property
    def sets(self) -> dict[str, Any]:
        """The parameters that the quality sets."""
        return dict(self.model.qualities.get(self.quality, {}))

    @property
    def sizes(self) -> list[list[int]]:
        """[width, height] in pixels; the first is the default."""
        most = self.limits.pixels
        sizes = [size for size in self.model.sizes if most is None or size[0] * size[1] <= most]
        if not sizes:
            raise ModelBeyondLimits(model=self.model.label)
        return sizes

    def bounds(self, name: str) -> tuple[float, float]:
        """The lowest and the highest value of `steps` or `guidance_scale`."""
        low, high = self.model.parameter_limits.get(name, FALLBACK_LIMITS[name])
        if name in self.sets:
            low, high = min(low, self.sets[name]), max(high, self.sets[name])
        if name == "steps" and self.limits.steps is not None:
            high = min(high, self.limits.steps)
        if low > high:
            raise ModelBeyondLimits(model=self.model.label)
        return low, high

    def default(self, name: str) -> float:
        """What holds where nobody says anything; somebody's limit lowers it."""
        value = self.sets.get(name, self.model.default_parameters.get(name, FALLBACK_PARAMETERS[name]))
        return min(value, self.limits.steps) if name == "steps" and self.limits.steps is not None else value

    @property
    def max_images(self) -> int:
        """How many pictures one request may ask for."""
        of_model = self.model.parameter_limits.get("num_images", LIMIT_BOUNDS["num_images"][1:])[1]
        return int(min(of_model, self.limits.images_per_request or of_model))

    @property
    def is_possible(self) -> bool:
        """Whether this person can ask the model for anything at all."""
        try:
            return bool(self.operations and self.sizes and self.bounds("steps"))
        except ModelBeyondLimits:
            return False
