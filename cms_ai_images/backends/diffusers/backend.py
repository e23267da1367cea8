"""The backend: keeps one pipeline in memory and draws with it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from cms_ai_images.backends.base import Backend
from cms_ai_images.exceptions import OperationNotSupported, OutOfMemory
from cms_ai_images.types import GeneratedPicture, GenerationParameters, ModelSpec, StepCallback

from .drawing import StepReporter, draw, split
from .errors import drawing_error, free_memory, loading_error
from .folder import inspect_folder
from .libraries import quieten_libraries, require_libraries
from .loading import load_pipeline
from .placement import choose_device, choose_dtype, describe_device, place
from .source import locate

logger = logging.getLogger(__name__)


class DiffusersBackend(Backend):
    """Text to image with a diffusers pipeline. Other operations can share its components by `from_pipe`.

    A pipeline keeps the state of a call in itself and in its scheduler: one thread at a time.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.pipeline: Any = None
        self._device = ""
        self._revision = ""

    def load(self) -> None:
        if self.pipeline is not None:
            return
        require_libraries()
        quieten_libraries()
        try:
            path, revision = locate(self.spec)
            folder = inspect_folder(self.spec.slug, path)
            device = choose_device()
            dtype = choose_dtype(self.spec, device, folder.class_name)
            pipeline = load_pipeline(self.spec, folder, dtype)
            place(pipeline, self.spec, device)
        except Exception as error:
            failure = loading_error(self.spec.slug, error)
            if failure is error:
                raise
            if isinstance(failure, OutOfMemory):
                free_memory(error)
            raise failure from error
        self.pipeline, self._device, self._revision = pipeline, describe_device(device), revision
        logger.info("%s: %s in %s on %s.", self.spec.slug, folder.class_name, dtype, self._device)

    def generate(self, requests: Sequence[GenerationParameters], on_step: StepCallback) -> list[list[GeneratedPicture]]:
        [parameters] = requests
        if parameters.operation not in self.operations:
            raise OperationNotSupported(model=self.spec.slug)
        self.load()
        import torch

        calls = len(split(self.pipeline, parameters.seeds))
        reporter = StepReporter(on_step, steps=parameters.steps, calls=calls)
        try:
            with torch.inference_mode():
                return [draw(self.pipeline, self.spec.slug, parameters, reporter)]
        except BaseException as error:
            # A pipeline only does this at its end; without it, offloaded parts would stay on the GPU.
            self.pipeline.maybe_free_model_hooks()
            if error is reporter.stopped_by or not isinstance(error, Exception):
                raise
            failure = drawing_error(error)
            if failure is error:
                raise
            if isinstance(failure, OutOfMemory):
                free_memory(error)
            raise failure from error

    def unload(self) -> None:
        if self.pipeline is None:
            return
        self.pipeline = None
        free_memory()

    @property
    def memory(self) -> int:
        if self.pipeline is None:
            return 0
        networks = [part for part in self.pipeline.components.values() if hasattr(part, "parameters")]
        tensors = {tensor for network in networks for tensor in (*network.parameters(), *network.buffers())}
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @property
    def device(self) -> str:
        return self._device

    @property
    def revision(self) -> str:
        return self._revision
