"""The diffusers backend on real pipelines of toy size: what it draws, how it stops, where it runs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import PNDMScheduler, StableDiffusionPipeline

from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.backends.diffusers.placement import choose_device
from cms_ai_images.exceptions import (
    DeadlineExceeded,
    DeviceLost,
    DeviceMissing,
    GenerationError,
    OperationNotSupported,
    OutOfMemory,
    PictureBroken,
    PictureWithheld,
    TaskCancelled,
)
from cms_ai_images.types import GeneratedPicture, ModelSpec

from . import tiny_pipelines
from .test_backends import Record, draw

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "stable_diffusion": tiny_pipelines.build_stable_diffusion,
    "sdxl": tiny_pipelines.build_sdxl,
    "z_image": tiny_pipelines.build_z_image,
}
HAS_GPU = torch.cuda.is_available()
ROUNDING = 8 if HAS_GPU else 1
"""Largest difference, of 255, between two ways to compute the same picture in float32."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder for each class."""
    root = tmp_path_factory.mktemp("pipelines")
    return {name: build(root / name) for name, build in BUILDERS.items()}


@pytest.fixture(scope="module")
def loaded(folders: dict[str, Path]) -> dict[str, DiffusersBackend]:
    """One loaded backend for each class, as a worker keeps it from task to task."""
    backends = {name: backend(folder, slug=name, dtype="float32") for name, folder in folders.items()}
    for each in backends.values():
        each.load()
    return backends


@pytest.fixture(params=list(BUILDERS))
def any_backend(request: pytest.FixtureRequest, loaded: dict[str, DiffusersBackend]) -> DiffusersBackend:
    return loaded[request.param]


@pytest.fixture
def fresh(folders: dict[str, Path]) -> Iterator[DiffusersBackend]:
    """A backend whose pipeline a test may tamper with."""
    fresh = backend(folders["stable_diffusion"], dtype="float32")
    fresh.load()
    yield fresh
    fresh.unload()


def backend(folder: Path, slug: str = "tiny", **spec: Any) -> DiffusersBackend:
    return DiffusersBackend(ModelSpec(slug=slug, source=str(folder), **spec))


def pixels(pictures: list[GeneratedPicture]) -> list[np.ndarray]:
    return [np.asarray(picture.image).astype(int) for picture in pictures]


# -- Drawing -----------------------------------------------------------------------------------------------------------


def test_pictures_have_the_size_and_seeds_and_every_step_is_reported(any_backend: DiffusersBackend) -> None:
    record = Record()
    pictures = draw(any_backend, record, width=64, height=48, num_images=2)
    assert [(picture.image.mode, picture.image.size) for picture in pictures] == [("RGB", (64, 48))] * 2
    assert [picture.seed for picture in pictures] == [7, 8]
    assert record.steps == [(1, 3), (2, 3), (3, 3)]
    first, second = pixels(pictures)
    assert np.abs(first - second).mean() > 5
    assert any_backend.device.startswith("cuda (" if HAS_GPU else "cpu")
    assert any_backend.revision == ""


def test_seed_decides_the_picture_alone_or_in_a_batch(any_backend: DiffusersBackend) -> None:
    batch = pixels(draw(any_backend, num_images=3, seed=2**32 - 2))
    for index, seed in enumerate([2**32 - 2, 2**32 - 1, 0]):
        [alone] = pixels(draw(any_backend, seed=seed))
        assert np.abs(alone - batch[index]).max() <= ROUNDING


def test_words_and_guidance_reach_the_model(any_backend: DiffusersBackend) -> None:
    def drawn(**changes: Any) -> bytes:
        return draw(any_backend, **changes)[0].image.tobytes()

    usual = drawn()
    assert usual == drawn()
    assert usual != drawn(prompt="ein Fuchs 狐狸")
    assert usual != drawn(negative_prompt="blurry")
    assert usual != drawn(guidance_scale=9.0)


def test_any_size_is_drawn_even_where_it_does_not_fill_the_models_grid(any_backend: DiffusersBackend) -> None:
    [picture] = draw(any_backend, width=72, height=40)
    assert picture.image.size == (72, 40)


def test_total_is_what_the_scheduler_really_does(fresh: DiffusersBackend) -> None:
    # PNDM, the scheduler that Stable Diffusion 1.5 comes with, takes one step more than it is asked for.
    fresh.pipeline.scheduler = PNDMScheduler.from_config(fresh.pipeline.scheduler.config, skip_prk_steps=True)
    record = Record()
    draw(fresh, record, steps=4)
    assert record.steps == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


class OneAtATime(StableDiffusionPipeline):
    """Some pipelines draw one picture for a prompt, and know neither guidance nor negative prompts."""

    def __call__(  # type: ignore[override]
        self,
        prompt: str,
        height: int,
        width: int,
        num_inference_steps: int,
        generator: Any = None,
        output_type: str = "pil",
        callback_on_step_end: Any = None,
    ) -> Any:
        return super().__call__(
            prompt,
            height,
            width,
            num_inference_steps,
            guidance_scale=4.0,
            generator=generator,
            output_type=output_type,
            callback_on_step_end=callback_on_step_end,
        )


def test_pipeline_that_draws_one_picture_is_called_for_each(fresh: DiffusersBackend) -> None:
    batch = pixels(draw(fresh, num_images=2))
    fresh.adopt(OneAtATime(**fresh.pipeline.components, requires_safety_checker=False))
    record = Record()
    single = pixels(draw(fresh, record, num_images=2))
    assert record.steps == [(done, 6) for done in range(1, 7)]
    assert [np.abs(one - other).max() <= ROUNDING for one, other in zip(single, batch, strict=True)] == [True, True]


class OldCallback(StableDiffusionPipeline):
    """Some pipelines report their steps as all of them once did."""

    def __call__(self, prompt: str, callback: Any = None, **rest: Any) -> Any:  # type: ignore[override]
        def report(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            callback(step, timestep, tensors["latents"])
            return tensors

        return super().__call__(prompt, 64, 64, 3, output_type="np", callback_on_step_end=report)


def test_pipeline_with_the_old_callback_reports_and_stops(fresh: DiffusersBackend) -> None:
    fresh.adopt(OldCallback(**fresh.pipeline.components, requires_safety_checker=False))
    record = Record()
    draw(fresh, record)
    assert record.steps == [(1, 3), (2, 3), (3, 3)]

    with pytest.raises(TaskCancelled):
        draw(fresh, Record(TaskCancelled()))


def test_operation_it_cannot_do_is_refused(any_backend: DiffusersBackend) -> None:
    with pytest.raises(OperationNotSupported):
        draw(any_backend, operation="upscale")


# -- Stopping and failing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [TaskCancelled(), DeadlineExceeded(seconds=1), KeyboardInterrupt(), ValueError("x")])
def test_what_the_callback_raises_stops_it_at_once_and_it_works_again(
    any_backend: DiffusersBackend, stop: BaseException
) -> None:
    before = pixels(draw(any_backend))
    record = Record(stop, at=2)
    with pytest.raises(type(stop)) as caught:
        draw(any_backend, record, steps=9, num_images=2)
    assert caught.value is stop
    assert record.steps == [(1, 9), (2, 9)]
    after = pixels(draw(any_backend))
    assert np.abs(before[0] - after[0]).max() <= ROUNDING


def test_offloaded_parts_leave_the_device_when_a_task_is_cancelled(fresh: DiffusersBackend) -> None:
    # A pipeline frees its hooks at its end only, so they must be renewed here. The CPU can play the GPU's part.
    fresh.pipeline.enable_model_cpu_offload(device="cpu")
    hooks = list(fresh.pipeline._all_hooks)

    with pytest.raises(TaskCancelled):
        draw(fresh, Record(TaskCancelled()))
    assert hooks
    assert not set(hooks) & set(fresh.pipeline._all_hooks)
    assert len(draw(fresh)) == 1


def test_overflowed_numbers_are_no_picture(fresh: DiffusersBackend) -> None:
    fresh.pipeline.unet.conv_out.weight.data.fill_(float("nan"))
    with pytest.raises(PictureBroken, match="float32"):
        draw(fresh)


def test_exhausted_memory_is_said(fresh: DiffusersBackend) -> None:
    fresh.pipeline.unet.register_forward_hook(lambda *args: torch.empty(2**50))
    with pytest.raises(OutOfMemory) as caught:
        draw(fresh)
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "CUDA error: out of memory",
        "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory",
    ],
)
def test_memory_that_a_cuda_library_lacks_is_no_lost_gpu(fresh: DiffusersBackend, text: str) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError(text)

    hook = fresh.pipeline.unet.register_forward_pre_hook(fail)
    with pytest.raises(OutOfMemory):
        draw(fresh)
    hook.remove()
    assert len(draw(fresh)) == 1


@pytest.mark.parametrize("kind", [torch.AcceleratorError, RuntimeError])
def test_a_lost_gpu_is_said_and_left_alone(fresh: DiffusersBackend, kind: type[RuntimeError]) -> None:
    def fail(*args: Any) -> None:
        raise kind("CUDA error: an illegal memory access was encountered")

    fresh.pipeline.enable_model_cpu_offload(device="cpu")
    hooks = list(fresh.pipeline._all_hooks)
    hook = fresh.pipeline.unet.register_forward_pre_hook(fail)
    with pytest.raises(DeviceLost):
        draw(fresh)
    hook.remove()
    assert fresh.pipeline._all_hooks == hooks  # renewing them would move weights on a device that is gone


def lose_gpu(*args: Any, **kwargs: Any) -> None:
    """Whatever is asked of a GPU after an error that sticks."""
    raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


def test_a_gpu_that_is_lost_when_it_is_tidied_up_is_said(
    fresh: DiffusersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA reports late: the first to fail after a broken kernel may be whatever comes next."""
    fresh.pipeline.unet.register_forward_hook(lambda *args: torch.empty(2**50))
    monkeypatch.setattr(fresh.pipeline, "maybe_free_model_hooks", lose_gpu)
    with pytest.raises(DeviceLost):
        draw(fresh)


def test_a_gpu_that_is_lost_while_a_model_warms_up_is_said(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Freeing memory raises the same error once more."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lose_gpu)
    monkeypatch.setattr("cms_ai_images.backends.diffusers.backend.choose_device", lambda: "cpu")
    monkeypatch.setattr(DiffusersBackend, "_warm_up", lose_gpu)
    tiny = backend(folders["sdxl"], dtype="float32")
    with pytest.raises(DeviceLost):
        tiny.load()
    assert tiny.pipeline is None


def test_memory_that_ran_out_while_loading_is_free_again(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try, without other models in the way, finds it: not even the error keeps the pipeline."""
    seen: list[weakref.ref[Any]] = []

    def run_out(self: DiffusersBackend, tuning: Any) -> None:
        seen.append(weakref.ref(self.pipeline.unet))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(DiffusersBackend, "_warm_up", run_out)
    with pytest.raises(OutOfMemory) as caught:
        backend(folders["sdxl"], dtype="float32").load()
    assert caught.value.__traceback__ is not None
    assert [reference() for reference in seen] == [None]


@pytest.mark.skipif(HAS_GPU, reason="it is there")
def test_a_gpu_that_is_named_and_gone_is_not_replaced_by_the_cpu(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = backend(folders["sdxl"], dtype="float32")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(DeviceMissing, match="GPU “3”"):
        tiny.load()
    for nothing in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nothing)
        assert choose_device() in ("cpu", "mps")


def test_any_other_failure_keeps_its_cause(fresh: DiffusersBackend) -> None:
    def fail(*args: Any) -> None:
        raise ZeroDivisionError("in the middle")

    hook = fresh.pipeline.unet.register_forward_hook(fail)
    with pytest.raises(GenerationError) as caught:
        draw(fresh)
    assert type(caught.value) is GenerationError
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    hook.remove()
    assert len(draw(fresh)) == 1


def test_safety_checker_of_the_model_is_used(tmp_path: Path) -> None:
    strict = backend(tiny_pipelines.build_stable_diffusion(tmp_path / "strict", safety_threshold=-1.0))
    with pytest.raises(PictureWithheld):
        draw(strict, num_images=2)
    lenient = backend(tiny_pipelines.build_stable_diffusion(tmp_path / "lenient", safety_threshold=1.0))
    assert len(draw(lenient, num_images=2)) == 2
    assert lenient.pipeline.safety_checker is not None


# -- Loading -----------------------------------------------------------------------------------------------------------


def test_load_is_idempotent_and_unload_can_be_undone(folders: dict[str, Path]) -> None:
    tiny = backend(folders["z_image"])
    tiny.load()
    pipeline = tiny.pipeline
    tiny.load()
    assert tiny.pipeline is pipeline
    tiny.unload()
    assert tiny.pipeline is None
    assert len(draw(tiny)) == 1


def test_dtype_is_honoured(folders: dict[str, Path]) -> None:
    automatic = torch.bfloat16 if HAS_GPU else torch.float32
    for dtype, expected in {"auto": automatic, "bfloat16": torch.bfloat16, "float16": torch.float16}.items():
        tiny = backend(folders["sdxl"], dtype=dtype)
        tiny.load()
        assert {tiny.pipeline.unet.dtype, tiny.pipeline.vae.dtype, tiny.pipeline.text_encoder.dtype} == {expected}
    assert len(draw(backend(folders["z_image"], dtype="bfloat16"))) == 1


def test_float16_is_not_used_where_it_draws_black(folders: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    tiny = backend(folders["z_image"], dtype="float16")
    tiny.load()
    assert tiny.pipeline.transformer.dtype == torch.bfloat16
    assert "black pictures in float16" in caplog.text


@pytest.mark.skipif(HAS_GPU, reason="offloading means something here")
@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_offload_without_a_gpu_is_ignored_aloud(
    folders: dict[str, Path], offload: str, caplog: pytest.LogCaptureFixture
) -> None:
    tiny = backend(folders["stable_diffusion"], cpu_offload=offload)
    assert len(draw(tiny)) == 1
    assert "means nothing without a GPU" in caplog.text


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
@pytest.mark.parametrize("offload", ["none", "model", "sequential"])
@pytest.mark.parametrize("name", list(BUILDERS))
def test_offload_on_a_gpu_survives_a_cancelled_task(folders: dict[str, Path], name: str, offload: str) -> None:
    tiny = backend(folders[name], cpu_offload=offload, dtype="float32")
    before = pixels(draw(tiny))

    with pytest.raises(TaskCancelled):
        draw(tiny, Record(TaskCancelled()))
    if offload == "model":
        assert tiny.pipeline.device.type == "cpu"
    after = pixels(draw(tiny))
    assert np.abs(before[0] - after[0]).max() <= ROUNDING


def test_vae_options(folders: dict[str, Path]) -> None:
    tiny = backend(folders["z_image"], vae_tiling=True, vae_slicing=True)
    assert len(draw(tiny, num_images=2)) == 2
    assert tiny.pipeline.vae.use_tiling
    assert tiny.pipeline.vae.use_slicing
