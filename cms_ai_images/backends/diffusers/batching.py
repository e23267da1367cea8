"""Which pictures are drawn in one call.

A picture must come out the same, up to rounding, whatever it is drawn with. Each has its own noise, and texts are
encoded one by one; what is left is what a model makes of texts of unequal length.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Hashable, Sequence
from typing import Any

from cms_ai_images.types import GenerationParameters

from .signatures import accepted_names, is_guided
from .texts import TextCache, sequence_length

SAME_LENGTH_FOR_ALL = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
"""Pipelines that fill every text up to one length: any texts go together."""
BUCKET = 32
"""Z-Image fills texts up to a multiple of this many tokens. In a batch of unequal ones the rest is masked, which needs
other, slower attention kernels that round differently; so only texts of one bucket go together."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture to draw: of which request, and with which seed."""

    request: int
    parameters: GenerationParameters
    seed: int


def shots_of(requests: Sequence[GenerationParameters]) -> list[Shot]:
    """All pictures of some requests, in order."""
    return [
        Shot(request=number, parameters=parameters, seed=seed)
        for number, parameters in enumerate(requests)
        for seed in parameters.seeds
    ]


def batch_key(pipeline: Any, texts: TextCache, parameters: GenerationParameters) -> Hashable:
    """Equal for requests whose pictures may be drawn in one call (given equal sizes, steps and guidance)."""
    if not takes_several(pipeline):
        return parameters
    kind = type(pipeline).__name__
    if texts.is_usable and kind in SAME_LENGTH_FOR_ALL:
        return ()
    if texts.is_usable and kind == "ZImagePipeline":
        guided = is_guided(pipeline, parameters)
        return bucket(pipeline, parameters.prompt), bucket(pipeline, parameters.negative_prompt) if guided else 0
    # Nobody has looked at this class: only what differs in its noise alone goes together.
    return parameters.prompt, parameters.negative_prompt, parameters.references


def takes_several(pipeline: Any) -> bool:
    """Whether it draws several pictures in a call at all."""
    return "num_images_per_prompt" in accepted_names(pipeline)


def bucket(pipeline: Any, text: str) -> int:
    """How many times `BUCKET` tokens Z-Image fills this text up to. It is written into the same chat as there."""
    chat = pipeline.tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=True
    )
    tokens = pipeline.tokenizer(chat, truncation=True, max_length=sequence_length(pipeline))["input_ids"]
    return math.ceil(len(tokens) / BUCKET)


def plan(pipeline: Any, texts: TextCache, shots: Sequence[Shot], limit: int | None = None) -> list[list[Shot]]:
    """The calls to make: as few as the pipeline, the texts and a limit of pictures allow."""
    if not takes_several(pipeline):
        limit = 1
    by_key: dict[Hashable, list[Shot]] = {}
    for request, group in itertools.groupby(shots, key=lambda shot: shot.parameters):
        by_key.setdefault(batch_key(pipeline, texts, request), []).extend(group)
    size = limit or len(shots)
    return [group[start : start + size] for group in by_key.values() for start in range(0, len(group), size)]


def halves(shots: list[Shot]) -> list[list[Shot]]:
    """Two calls in place of one."""
    middle = (len(shots) + 1) // 2
    return [shots[:middle], shots[middle:]]
