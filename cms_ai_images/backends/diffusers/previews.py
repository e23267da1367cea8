"""Small pictures of what there is so far, without the VAE: one matrix from a latent's channels to red, green and blue.

A latent's channels at a place say little more than the colour there, so that a linear map shows what is coming for a
few multiplications. It is fitted to each VAE when it is loaded. Half-drawn latents are mostly noise: the line from the
last step to this one is followed to where the noise would end.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import Any

from cms_ai_images.types import PREVIEW_SIDE

from .errors import is_out_of_memory, summary

logger = logging.getLogger(__name__)

SAMPLES, SAMPLE_SIDE = 4, 16
"""Number and side, in latents, of what is decoded to fit the matrix: a thousand colours for at most some 17 unknowns
each, which costs a sixteenth of decoding a picture of 1024 x 1024."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frame:
    """The latents after a step, of shape (pictures, channels, height, width), and how many steps the scheduler did."""

    latents: Any
    index: int | None


class Previewer:
    """Latents to small pictures. `matrix` has the shape (channels + 1, 3); its last row is added."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix

    def understands(self, latents: Any) -> bool:
        """Whether these are a picture's latents; Flux, for one, reports them packed into a sequence."""
        return getattr(latents, "ndim", 0) == 4 and latents.shape[1] == len(self.matrix) - 1

    def images(self, latents: Any) -> list[Any]:
        """One RGB picture of at most `PREVIEW_SIDE` pixels for each of the latents."""
        import torch
        from PIL import Image

        factor = math.ceil(max(latents.shape[-2:]) / PREVIEW_SIDE)
        small = torch.nn.functional.avg_pool2d(latents.float(), factor)
        colors = torch.einsum("bchw,cr->bhwr", small, self.matrix[:-1]) + self.matrix[-1]
        values = ((colors / 2 + 0.5).nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8)
        return [Image.fromarray(each) for each in values.cpu().numpy()]


def fit(pipeline: Any, model: str) -> Previewer | None:
    """The previewer for a pipeline's VAE, by least squares on a few random latents and what they decode to.

    `None`, with a line in the log, where the VAE does not make RGB pictures of (batch, channels, height, width).
    """
    import torch

    vae = getattr(pipeline, "vae", None)
    channels = getattr(getattr(vae, "config", None), "latent_channels", None)
    if not isinstance(channels, int):
        logger.info("%s: no previews, its VAE is of another kind.", model)
        return None
    latents = smooth_noise(channels).to(pipeline._execution_device)
    try:
        with torch.inference_mode():
            pictures = decode(vae, latents)
    except (RuntimeError, ValueError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        logger.info("%s: no previews, its VAE cannot be sampled (%s).", model, summary(error))
        return None
    finally:
        pipeline.maybe_free_model_hooks()
    if pictures.ndim != 4 or pictures.shape[1] != 3 or not torch.isfinite(pictures).all():
        logger.info("%s: no previews, its VAE does not decode to RGB pictures.", model)
        return None
    colors = torch.nn.functional.adaptive_avg_pool2d(pictures.float().clamp(-1, 1), latents.shape[-2:])
    known, wanted = as_rows(latents), as_rows(colors)
    known = torch.cat([known, torch.ones_like(known[:, :1])], dim=1)
    matrix = torch.linalg.lstsq(known, wanted, driver="gelsd").solution
    return Previewer(matrix.float().to(latents.device))


def smooth_noise(channels: int) -> Any:
    """Random latents like those of pictures: large shapes, smaller ones within, and grain. The same on every run."""
    import torch

    generator = torch.Generator("cpu").manual_seed(0)
    layers = [
        torch.nn.functional.interpolate(
            torch.randn(SAMPLES, channels, side, side, generator=generator), size=SAMPLE_SIDE, mode="bilinear"
        )
        for side in (1, 4, SAMPLE_SIDE)
    ]
    total = torch.stack(layers).sum(dim=0)
    return total / total.std()


def decode(vae: Any, latents: Any) -> Any:
    """What pipelines do with the latents at their end: undo the VAE's scaling, then decode to values in [-1, 1]."""
    import torch

    config = vae.config
    mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is not None and deviation is not None:
        latents = latents * torch.tensor(deviation).to(latents).view(1, -1, 1, 1)
    latents = latents / (getattr(config, "scaling_factor", None) or 1.0)
    if mean is not None and deviation is not None:
        latents = latents + torch.tensor(mean).to(latents).view(1, -1, 1, 1)
    latents = latents + (getattr(config, "shift_factor", None) or 0.0)
    # Stable Diffusion XL's VAE overflows in float16; its pipeline changes it for the time of the decoding as well.
    overflows = vae.dtype == torch.float16 and getattr(config, "force_upcast", False)
    if overflows:
        vae.to(torch.float32)
    try:
        return vae.decode(latents.to(vae.dtype), return_dict=False)[0]
    finally:
        if overflows:
            vae.to(torch.float16)


def as_rows(values: Any) -> Any:
    """(batch, channels, height, width) as one row for each place, in double precision on the CPU."""
    return values.movedim(1, -1).flatten(0, -2).double().cpu()


def foresee(scheduler: Any, now: Frame, before: Frame | None) -> Any:
    """The latents without their noise, as far as the last step lets one guess.

    With a scheduler that knows its noise levels (`sigmas`), the latents of Euler's method and its relatives move on a
    line towards the picture: with x(s) at level s, the picture is x(0). After the first step there is no line yet.
    Schedulers without noise levels give no hint; their latents are shown as they are.
    """
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is None or now.index is None or now.index >= len(sigmas):
        return now.latents
    level = float(sigmas[now.index])
    stretch = 1.0 if is_flow(scheduler) else math.sqrt(level**2 + 1)
    keeps_variance = not is_flow(scheduler) and float(scheduler.init_noise_sigma) <= 1.0
    latents = now.latents.float() * (stretch if keeps_variance else 1.0)
    if before is None or before.index is None or before.latents.shape != now.latents.shape:
        return latents / stretch
    level_before = float(sigmas[before.index])
    if level_before <= level:
        return latents / stretch
    earlier = before.latents.float() * (math.sqrt(level_before**2 + 1) if keeps_variance else 1.0)
    return latents - (earlier - latents) * (level / (level_before - level))


def is_flow(scheduler: Any) -> bool:
    """Whether noise and picture are mixed as s * noise + (1 - s) * picture, rather than added."""
    config = scheduler.config
    return "FlowMatch" in type(scheduler).__name__ or bool(config.get("use_flow_sigmas"))
