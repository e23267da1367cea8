"""Other operations draw with the same weights: nothing is loaded or copied for them."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.exceptions import OperationNotSupported

from .test_backends import draw
from .test_diffusers_backend import any_backend, folders, fresh, loaded

__all__ = ["any_backend", "folders", "fresh", "loaded"]


@pytest.mark.parametrize("operation", ["image_to_image", "inpaint"])
def test_operations_share_every_module(any_backend: DiffusersBackend, operation: str) -> None:
    before = draw(any_backend)[0].image.tobytes()
    pipeline = any_backend.pipeline
    shared = any_backend.pipelines(operation)
    assert type(shared) is not type(pipeline)
    assert any_backend.pipelines(operation) is shared
    modules = {name: part for name, part in shared.components.items() if isinstance(part, torch.nn.Module)}
    assert modules
    assert all(part is pipeline.components[name] for name, part in modules.items())
    addresses = {weight.data_ptr() for part in modules.values() for weight in part.parameters()}
    own = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    assert addresses <= {weight.data_ptr() for part in own for weight in part.parameters()}

    # It works, and leaves the other one as it was.
    extra = {"mask_image": Image.new("L", (64, 64), 255)} if operation == "inpaint" else {}
    generator = torch.Generator("cpu").manual_seed(1)
    picture = Image.new("RGB", (64, 64), "teal")
    with torch.inference_mode():
        output: Any = shared(
            prompt="a fox", image=picture, strength=0.6, num_inference_steps=5, generator=generator, **extra
        )
    assert np.asarray(output.images[0]).std() > 1
    assert draw(any_backend)[0].image.tobytes() == before


def test_text_to_image_is_the_pipeline_itself(any_backend: DiffusersBackend) -> None:
    assert any_backend.pipelines("text_to_image") is any_backend.pipeline


def test_operation_without_a_pipeline_is_refused(any_backend: DiffusersBackend) -> None:
    with pytest.raises(OperationNotSupported):
        any_backend.pipelines("upscale")


def test_family_without_the_operation_is_refused(fresh: DiffusersBackend) -> None:
    class Unknown(type(fresh.pipeline)):  # type: ignore[misc]
        """Of no family that diffusers knows."""

    fresh.adopt(Unknown(**fresh.pipeline.components, requires_safety_checker=False))
    with pytest.raises(OperationNotSupported):
        fresh.pipelines("inpaint")


def test_unloading_lets_go_of_the_shared_weights(fresh: DiffusersBackend) -> None:
    fresh.pipelines("image_to_image")
    unet = weakref.ref(fresh.pipeline.unet)
    fresh.unload()
    assert unet() is None
