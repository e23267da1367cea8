"""Options of a model row that make it faster on a GPU. All are off until somebody has measured them there."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from cms_ai_images.exceptions import ModelOptionInvalid
from cms_ai_images.types import GenerationParameters, ModelSpec, Operation, OutputFormat

from .errors import summary

logger = logging.getLogger(__name__)

ATTENTION_BACKENDS = (
    *("native", "_native_cudnn", "_native_efficient", "_native_flash", "_native_math", "flex"),
    *("flash", "flash_varlen", "_flash_3", "_flash_varlen_3", "sage", "sage_varlen", "xformers"),
)
"""Those that come with PyTorch, or with a package that was installed. Those called `..._hub` download programs at run
time and are not offered."""
WORKER_OPTIONS = frozenset({"max_batch"})
"""Options that mean something to the worker, whatever the backend."""
WARM_UP_STEPS = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tuning:
    """`ModelSpec.options`, checked.

    - `compile`: "regional" compiles the repeated blocks of the denoiser; the first picture of each size takes long
    - `attention_backend`: a name from `ATTENTION_BACKENDS`
    - `channels_last`: keep the weights of convolutions in the order that tensor cores like
    - `warmup_sizes`: [[width, height], ...] to draw once at load, so that no author waits for the compiler
    - `warmup_guidance_scale`: the guidance of these pictures
    """

    compile: str = ""
    attention_backend: str = ""
    channels_last: bool = False
    warmup_sizes: tuple[tuple[int, int], ...] = ()
    warmup_guidance_scale: float = 0.0


def read_options(spec: ModelSpec) -> Tuning:
    """Raises `ModelOptionInvalid`, naming the option. Options that nobody here knows are logged and left alone."""
    known = {field.name for field in dataclasses.fields(Tuning)}
    given = {name: value for name, value in spec.options.items() if name in known}
    if unknown := sorted(spec.options.keys() - known - WORKER_OPTIONS):
        logger.warning("%s: the diffusers backend knows no option %s.", spec.slug, ", ".join(unknown))

    def check(name: str, is_valid: bool, wanted: str) -> None:
        if name in given and not is_valid:
            raise ModelOptionInvalid(model=spec.slug, option=name, detail=f"{given[name]!r} is not {wanted}")

    check("compile", given.get("compile") in ("", "regional"), '"regional"')
    backends = ("", *ATTENTION_BACKENDS)
    check("attention_backend", given.get("attention_backend") in backends, f"one of {', '.join(ATTENTION_BACKENDS)}")
    check("channels_last", isinstance(given.get("channels_last"), bool), "true or false")
    guidance = given.get("warmup_guidance_scale")
    is_number = isinstance(guidance, int | float) and not isinstance(guidance, bool)
    check("warmup_guidance_scale", is_number, "a number")
    sizes = given.get("warmup_sizes", [])
    check("warmup_sizes", isinstance(sizes, list) and all(is_size(size) for size in sizes), "[[width, height], ...]")
    if sizes:
        given["warmup_sizes"] = tuple((width, height) for width, height in sizes)
    return Tuning(**{**given, "warmup_sizes": given["warmup_sizes"] if sizes else ()})


def is_size(value: Any) -> bool:
    """Whether this is [width, height] in pixels."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in value)
    )


def tune(pipeline: Any, spec: ModelSpec, tuning: Tuning) -> None:
    """Apply the options to a pipeline that is where it will work. Raises `ModelOptionInvalid` where one cannot be."""
    import torch

    denoiser = getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None)
    if tuning.channels_last:
        for network in (denoiser, getattr(pipeline, "vae", None)):
            if network is not None:
                network.to(memory_format=torch.channels_last)
    if tuning.attention_backend:
        # It also becomes the default of the process, for models that name none.
        with_option(spec, "attention_backend", denoiser, "set_attention_backend", tuning.attention_backend)
    if tuning.compile:
        with_option(spec, "compile", denoiser, "compile_repeated_blocks")


def with_option(spec: ModelSpec, option: str, network: Any, method: str, *arguments: Any) -> None:
    """Call a method of a network; what it complains about is the option's fault."""
    try:
        getattr(network, method)(*arguments)
    except (AttributeError, ValueError, RuntimeError, ImportError) as error:
        raise ModelOptionInvalid(model=spec.slug, option=option, detail=summary(error)) from error


def warm_up_parameters(tuning: Tuning) -> list[GenerationParameters]:
    """What to draw at load: a picture of each size and, where there is a compiler, whatever else is a case to it.

    What it makes at first fits one length of text, and one picture. What it makes when it meets others fits all, but
    for a single picture, which stays a case of its own.
    """
    short, long = "warm-up", "warm-up " * 60
    cases = [(short, 1), (long, 2), (long, 1)] if tuning.compile else [(short, 1)]
    return [
        GenerationParameters(
            operation=Operation.TEXT_TO_IMAGE.value,
            prompt=prompt,
            negative_prompt="",
            width=width,
            height=height,
            steps=WARM_UP_STEPS,
            guidance_scale=float(tuning.warmup_guidance_scale),
            seed=0,
            num_images=pictures,
            output_format=OutputFormat.PNG.value,
        )
        for width, height in tuning.warmup_sizes
        for prompt, pictures in cases
    ]
