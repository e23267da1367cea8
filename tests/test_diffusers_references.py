"""Image to image, with real pipelines of toy size: their weights are random, so only distances say something."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.backends.diffusers.drawing import crop, pad
from cms_ai_images.exceptions import TaskCancelled

from .test_backends import Record, draw, ignore_steps, parameters
from .test_diffusers_backend import any_backend, folders, fresh, loaded, pixels
from .test_diffusers_batches import Calls, assert_same

__all__ = ["any_backend", "folders", "fresh", "loaded"]


def gradient(turns: int = 0, size: tuple[int, int] = (64, 32)) -> Image.Image:
    """A picture to start from."""
    return Image.linear_gradient("L").rotate(90 * turns).resize(size).convert("RGB")


def mask(size: tuple[int, int] = (64, 32)) -> Image.Image:
    """Something new is wanted in the right half."""
    white = Image.new("RGB", size)
    white.paste("white", (size[0] // 2, 0, *size))
    return white


def starting_from(picture: Image.Image, **changes: Any) -> dict[str, Any]:
    """What differs from a usual request."""
    values = {"operation": "image_to_image", "strength": 0.5, "references": ("0" * 64,), "pictures": (picture,)}
    return {**values, **changes}


def test_picture_and_strength_decide(any_backend: DiffusersBackend) -> None:
    record = Record()
    before = draw(any_backend)[0].image.tobytes()
    [one] = draw(any_backend, record, **starting_from(gradient()))
    assert (one.image.size, one.image.mode, one.seed) == ((64, 32), "RGB", 7)
    drawn = len(record.steps)
    assert drawn in (1, 2)  # of three steps; families round differently
    assert record.steps == [(step, drawn) for step in range(1, drawn + 1)]
    assert one.image.tobytes() == draw(any_backend, **starting_from(gradient()))[0].image.tobytes()
    for other in (
        starting_from(gradient(1)),
        starting_from(gradient(), strength=1.0),
        starting_from(gradient(), seed=8),
    ):
        assert draw(any_backend, **other)[0].image.tobytes() != one.image.tobytes()
    assert draw(any_backend)[0].image.tobytes() == before  # the shared scheduler begins anew


@pytest.mark.parametrize("masked", [False, True], ids=["image_to_image", "inpaint"])
@pytest.mark.parametrize("name", ["stable_diffusion", "sdxl", "z_image"])
def test_pictures_are_the_same_whatever_they_are_drawn_with(
    loaded: dict[str, DiffusersBackend], name: str, masked: bool
) -> None:
    backend = loaded[name]
    requests = [
        parameters(
            **{
                **starting_from(gradient(turns), prompt="a fox", seed=turns, num_images=1 + turns % 2),
                **(
                    {"operation": "inpaint", "pictures": (gradient(turns), mask().rotate(180 * turns))}
                    if masked
                    else {}
                ),
            }
        )
        for turns in range(3)
    ]
    calls = Calls(backend)
    together = backend.generate(requests, ignore_steps)
    calls.hook.remove()
    assert [len(pictures) for pictures in together] == [1, 2, 1]
    assert set(calls.sizes) == {8}  # one call for all four, doubled by guidance
    for request, pictures in zip(requests, together, strict=True):
        assert_same(pictures, backend.generate([request], ignore_steps)[0])
    first, second = pixels(together[0])[0], pixels(together[2])[0]
    assert np.abs(first - second).mean() > 1


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_what_is_not_masked_stays_to_the_pixel(any_backend: DiffusersBackend, strength: float) -> None:
    # A size that does not fill the grid, so that nothing may be out of place.
    before, right = gradient(1, (72, 40)), mask((72, 40))
    wish = starting_from(before, operation="inpaint", pictures=(before, right), strength=strength)
    [picture] = draw(any_backend, width=72, height=40, **wish)
    [other] = draw(any_backend, width=72, height=40, **{**wish, "seed": 8})
    left = (0, 0, 36, 40)
    assert picture.image.crop(left).tobytes() == before.crop(left).tobytes() == other.image.crop(left).tobytes()
    assert len({each.tobytes() for each in (before, picture.image, other.image)}) == 3


def test_class_that_nobody_has_looked_at_keeps_pictures_apart(fresh: DiffusersBackend) -> None:
    class Unknown(type(fresh.pipeline)):  # type: ignore[misc]
        """Of no family that is known here."""

    fresh.pipeline.__class__ = Unknown
    first = parameters(**starting_from(gradient()))
    other = parameters(**starting_from(gradient(1), references=("1" * 64,)))
    assert fresh.batch_key(first) == fresh.batch_key(parameters(**starting_from(gradient())))
    assert fresh.batch_key(first) != fresh.batch_key(other)


def test_size_that_does_not_fill_the_models_grid_keeps_its_place(any_backend: DiffusersBackend) -> None:
    [picture] = draw(any_backend, width=72, height=40, **starting_from(gradient(size=(72, 40))))
    assert picture.image.size == (72, 40)
    odd = gradient(size=(73, 41))
    assert crop(pad(odd, 80, 48), 73, 41).tobytes() == odd.tobytes()


def test_it_is_cancelled_at_once_and_works_again(any_backend: DiffusersBackend) -> None:
    with pytest.raises(TaskCancelled):
        draw(any_backend, Record(TaskCancelled()), **starting_from(gradient()))
    assert len(draw(any_backend, **starting_from(gradient()))) == 1


def test_parts_that_were_offloaded_leave_the_device_again(fresh: DiffusersBackend) -> None:
    """The hooks belong to the pipeline that was placed, and its relative does not know them."""
    freed: list[int] = []
    fresh.pipeline.maybe_free_model_hooks = lambda: freed.append(1)
    draw(fresh, **starting_from(gradient()))
    assert freed == [1]
    assert torch.is_inference_mode_enabled() is False
