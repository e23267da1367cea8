"""What to make of whatever the libraries below raise."""

from __future__ import annotations

import gc
import traceback

from cms_ai_images.exceptions import AIImagesError, DeviceLost, GenerationError, ModelFilesMissing, OutOfMemory

DETAIL_LENGTH = 200
"""Characters of a foreign message that are kept: it is shown to people, the whole of it is in the chained error."""

MEMORY_WORDS = ("out of memory", "can't allocate memory", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or off it.

    CUDA has a class of its own; the CPU's allocator, Metal and the CUDA libraries that allocate by themselves (cuBLAS,
    cuDNN, ...) only say so in the text of a `RuntimeError`.
    """
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(words in text for words in MEMORY_WORDS)


def is_device_lost(error: BaseException) -> bool:
    """Whether CUDA answers every further call of this process with the same error, so that only a new one helps.

    PyTorch raises `AcceleratorError` for what CUDA reports; versions without it say so in the text. Memory that ran out
    is reported in the same way, and does not end anything.
    """
    import torch

    if is_out_of_memory(error):
        return False

    accelerator_error = getattr(torch, "AcceleratorError", ())
    return isinstance(error, accelerator_error) or (isinstance(error, RuntimeError) and "CUDA error" in str(error))


def free_memory(error: BaseException | None = None) -> None:
    """Give unused memory back to the device.

    The frames of an error's traceback hold the tensors that filled it: they are emptied, or the next task would start
    in the memory that this one ran out of. Raises `DeviceLost` where that is how the device says that it is lost.
    """
    import torch

    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()
    try:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        elif torch.backends.mps.is_available():
            torch.mps.empty_cache()
    except RuntimeError as trouble:
        if not is_device_lost(trouble):
            raise
        raise DeviceLost from trouble


def loading_error(model: str, error: Exception) -> AIImagesError:
    """What a failure to load means for an administrator. Keeps an error that already says it."""
    if isinstance(error, AIImagesError):
        return error
    if is_out_of_memory(error):
        return OutOfMemory()
    if is_device_lost(error):
        return DeviceLost()
    return ModelFilesMissing(model=model, detail=summary(error))


def drawing_error(error: Exception) -> AIImagesError:
    """What a failure to draw means for an author. Keeps an error that already says it."""
    if isinstance(error, AIImagesError):
        return error
    if is_out_of_memory(error):
        return OutOfMemory()
    return DeviceLost() if is_device_lost(error) else GenerationError()


def root_cause(error: BaseException) -> BaseException:
    """Where a chain of errors began: `connection refused` rather than `cannot load the model`."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def summary(error: BaseException) -> str:
    """The first line of an error's text, not too long; its class where it has none."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:DETAIL_LENGTH]
