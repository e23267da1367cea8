"""Texts as the model understands them: encoded one by one, and remembered.

Text encoders are large networks themselves, and authors send the same words again and again: other seeds, more
pictures, one negative prompt for all. Encoding each text alone also keeps it independent of its company.
"""

from __future__ import annotations

import inspect
import logging
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from cms_ai_images.types import GenerationParameters

from .signatures import accepted_names, is_guided

logger = logging.getLogger(__name__)

ENTRIES = 64
"""Texts that are remembered. One takes 0.3 MB (SDXL) to 2.6 MB (Z-Image, 512 tokens) of the device's memory."""
PAIR = ("prompt_embeds", "negative_prompt_embeds")
POOLED_PAIR = ("pooled_prompt_embeds", "negative_pooled_prompt_embeds")

Encoded = dict[str, Any]


class TextCache:
    """The encoded texts of one pipeline, the least recently used of them forgotten first."""

    def __init__(self, pipeline: Any, entries: int = ENTRIES) -> None:
        self.pipeline = pipeline
        self.entries = entries
        self.outputs = output_names(pipeline)
        self.hits = 0
        self._encoded: OrderedDict[tuple[str, str, bool, int | None], Encoded] = OrderedDict()

    def __len__(self) -> int:
        return len(self._encoded)

    @property
    def is_usable(self) -> bool:
        """Whether the pipeline lets its texts be encoded apart. If not, it must be called with strings."""
        return bool(self.outputs)

    def clear(self) -> None:
        """Forget everything, and let its memory go."""
        self._encoded.clear()

    def arguments(self, pictures: Sequence[GenerationParameters]) -> dict[str, Any]:
        """What to call the pipeline with instead of `prompt` and `negative_prompt`: one entry for each picture.

        Tensors are put together along their first axis; Z-Image has lists of tensors, whose lengths differ.
        """
        import torch

        each = [self.encode(parameters) for parameters in pictures]
        return {
            name: [part for encoded in each for part in encoded[name]]
            if isinstance(each[0][name], list)
            else torch.cat([encoded[name] for encoded in each])
            for name in each[0]
        }

    def encode(self, parameters: GenerationParameters) -> Encoded:
        """One text with its negative text, from memory where possible."""
        guided = is_guided(self.pipeline, parameters)
        length = sequence_length(self.pipeline)
        key = (parameters.prompt, parameters.negative_prompt if guided else "", guided, length)
        if key in self._encoded:
            self.hits += 1
            self._encoded.move_to_end(key)
            return self._encoded[key]
        self._encoded[key] = encoded = self._encode(*key)
        if len(self._encoded) > self.entries:
            self._encoded.popitem(last=False)
        return encoded

    @cached_property
    def _device(self) -> Any:
        """Where the pipeline computes. It takes milliseconds to say so, and says always the same."""
        return self.pipeline._execution_device

    def _encode(self, prompt: str, negative_prompt: str, guided: bool, length: int | None) -> Encoded:
        wishes = {
            "prompt": prompt,
            # The texts of second and third encoders: none of their own.
            "prompt_2": None,
            "prompt_3": None,
            "negative_prompt": negative_prompt or None,
            "device": self._device,
            "num_images_per_prompt": 1,
            "do_classifier_free_guidance": guided,
            "max_sequence_length": length,
        }
        names = inspect.signature(self.pipeline.encode_prompt).parameters
        given = {name: value for name, value in wishes.items() if name in names}
        values = self.pipeline.encode_prompt(**given)
        # Without guidance, the negative half is None or empty.
        return {
            name: value
            for name, value in zip(self.outputs, values, strict=True)
            if value is not None and not (isinstance(value, list) and not value)
        }


def output_names(pipeline: Any) -> tuple[str, ...]:
    """What `encode_prompt` returns, under the names that the pipeline takes it by; empty where it cannot be used.

    That is known of two conventions: (positive, negative) of Stable Diffusion 1 and 2 and Z-Image, and
    (positive, negative, pooled positive, pooled negative) of Stable Diffusion XL and 3. Others return masks or
    positions as well, in an order of their own: they are called with strings.
    """
    encode = getattr(pipeline, "encode_prompt", None)
    if encode is None or not hasattr(type(pipeline), "do_classifier_free_guidance"):
        return ()
    parameters = inspect.signature(encode).parameters
    names = accepted_names(pipeline)
    about_texts = {name for name in names if "prompt" in name and name.endswith(("_embeds", "_mask"))}
    outputs = PAIR + POOLED_PAIR if POOLED_PAIR[0] in names else PAIR
    if not {"prompt", "negative_prompt", "device", "do_classifier_free_guidance"} <= parameters.keys():
        return ()
    return outputs if about_texts == set(outputs) else ()


def sequence_length(pipeline: Any) -> int | None:
    """How many tokens of a text the pipeline reads when it is not told otherwise; `None` where it has no say."""
    parameter = inspect.signature(pipeline.__call__).parameters.get("max_sequence_length")
    return parameter.default if parameter is not None else None
