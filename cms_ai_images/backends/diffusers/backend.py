"""The backend: keeps one pipeline in memory and draws with it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any

from cms_ai_images.backends.base import Backend
from cms_ai_images.exceptions import DeviceLost, OperationNotSupported, OutOfMemory, PictureWithheld
from cms_ai_images.types import (
    GeneratedPicture,
    GenerationParameters,
    ModelSpec,
    Operation,
    PreviewSource,
    StepCallback,
)

from .batching import Shot, batch_key, halves, plan, shots_of
from .digests import check_digests
from .drawing import StepReporter, draw
from .errors import drawing_error, free_memory, is_out_of_memory, loading_error
from .folder import inspect_folder
from .libraries import quieten_libraries, require_libraries
from .loading import check_components, load_pipeline
from .placement import choose_device, choose_dtype, describe_device, place
from .previews import Previewer, fit
from .sharing import share
from .source import locate, locate_weights
from .texts import TextCache
from .tuning import Tuning, read_options, tune, warm_up_parameters
from .weights import apply_weights

logger = logging.getLogger(__name__)


class DiffusersBackend(Backend):
    """Draws with a diffusers pipeline; `pipelines` has those of other operations, for requests with pictures.

    A pipeline keeps the state of a call in itself and in its scheduler: one thread at a time.
    """

    operations = frozenset({Operation.TEXT_TO_IMAGE.value, Operation.IMAGE_TO_IMAGE.value, Operation.INPAINT.value})
    supports_batches = True

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.pipeline: Any = None
        self.texts: Any = None
        self.previewer: Previewer | None = None
        self._device = ""
        self._revision = ""
        self._pipelines: dict[str, Any] = {}

    @classmethod
    def check(cls, spec: ModelSpec) -> None:
        require_libraries()
        read_options(spec)
        path, _ = locate(spec, offline=True)
        check_digests(spec.slug, path)
        check_components(spec, inspect_folder(spec.slug, path))
        for entry in spec.weights:
            locate_weights(spec, entry, offline=True)

    def load(self) -> None:
        if self.pipeline is not None:
            return
        require_libraries()
        quieten_libraries()
        try:
            self._load()
        except Exception as error:
            failure = loading_error(self.spec.slug, error)
            self._forget()
            if not isinstance(failure, DeviceLost):  # whatever is asked of a lost one raises again
                free_memory(error if isinstance(failure, OutOfMemory) else None)
            if failure is error:
                raise
            raise failure from error

    def _load(self) -> None:
        """A function of its own, so that after an error nothing keeps what it has loaded so far."""
        tuning = read_options(self.spec)
        path, revision = locate(self.spec)
        check_digests(self.spec.slug, path)
        folder = inspect_folder(self.spec.slug, path)
        device = choose_device()
        dtype = choose_dtype(self.spec, device, folder.class_name)
        pipeline = load_pipeline(self.spec, folder, dtype)
        apply_weights(pipeline, self.spec)
        place(pipeline, self.spec, device)
        tune(pipeline, self.spec, tuning)
        self.adopt(pipeline)
        self._warm_up(tuning)
        self._device, self._revision = describe_device(device), revision
        logger.info("%s: %s in %s on %s.", self.spec.slug, folder.class_name, dtype, self._device)

    def adopt(self, pipeline: Any) -> None:
        """Draw with this pipeline, which is where it has to be."""
        self.previewer = fit(pipeline, self.spec.slug)
        self.texts = TextCache(pipeline)
        self.fitting.clear()
        self._pipelines.clear()
        self.pipeline = pipeline

    def _warm_up(self, tuning: Tuning) -> None:
        import torch

        for parameters in warm_up_parameters(tuning):
            with torch.inference_mode():
                self._draw(shots_of([parameters]), StepReporter(ignore_step, steps=parameters.steps))
        self.texts.clear()

    def pipelines(self, operation: str) -> Any:
        """The pipeline for an operation, with the weights of `pipeline`. Made at its first use."""
        if operation not in self._pipelines:
            self._pipelines[operation] = share(self.pipeline, self.spec, operation)
        return self._pipelines[operation]

    def batch_key(self, parameters: GenerationParameters) -> Hashable:
        # Unequal to all others until the model, which decides, is loaded.
        return parameters if self.pipeline is None else batch_key(self.pipeline, self.texts, parameters)

    def generate(self, requests: Sequence[GenerationParameters], on_step: StepCallback) -> list[list[GeneratedPicture]]:
        if any(parameters.operation not in self.operations for parameters in requests):
            raise OperationNotSupported(model=self.spec.slug)
        self.load()
        import torch

        reporter = StepReporter(on_step, steps=requests[0].steps, previewer=self.previewer)
        try:
            with torch.inference_mode():
                drawn = self._draw(shots_of(requests), reporter)
        except BaseException as error:
            failure: BaseException = error
            if isinstance(error, Exception) and error is not reporter.stopped_by:
                failure = drawing_error(error)
            if isinstance(failure, DeviceLost):
                raise failure from error  # nothing on it can be moved any more
            self._tidy_up(failure, error)
            if failure is error:
                raise
            raise failure from error
        lists = [[picture for shot, picture in drawn if shot.request == number] for number in range(len(requests))]
        if not all(lists):
            raise PictureWithheld
        return lists

    def _tidy_up(self, failure: BaseException, error: BaseException) -> None:
        """Leave the device as a call that ends well does. Raises `DeviceLost` where it only now says that it is."""
        try:
            # A pipeline only does this at its end; without it, offloaded parts would stay on the GPU.
            self.pipeline.maybe_free_model_hooks()
        except RuntimeError as trouble:
            raise drawing_error(trouble) from trouble
        if isinstance(failure, OutOfMemory):
            free_memory(error)

    def _draw(self, shots: list[Shot], reporter: StepReporter) -> list[tuple[Shot, GeneratedPicture]]:
        """All pictures, in as few calls as possible. A call that runs out of memory is halved, down to one picture.

        What did not fit is not tried again at that size: an attempt that fails at the end costs as much as a picture.
        """
        pipeline = self.pipelines(shots[0].parameters.operation)
        size = shots[0].parameters.width, shots[0].parameters.height
        calls = deque(plan(self.pipeline, self.texts, shots, self.fitting.get(size)))
        drawn: list[tuple[Shot, GeneratedPicture]] = []
        while calls:
            call = calls.popleft()
            reporter.begin(call, requests=shots[-1].request + 1, calls=len(calls) + 1)
            try:
                drawn += draw(pipeline, self.spec.slug, self.texts, call, reporter)
            except Exception as error:
                if error is reporter.stopped_by or len(call) == 1 or not is_out_of_memory(error):
                    raise
                self.pipeline.maybe_free_model_hooks()
                free_memory(error)
                calls.extendleft(reversed(halves(call)))
                self.fitting[size] = len(calls[0])
                logger.warning(
                    "%s: %d pictures of %d × %d do not fit into memory; from now on at most %d at once.",
                    self.spec.slug,
                    len(call),
                    *size,
                    len(calls[0]),
                )
        if pipeline is not self.pipeline:
            self.pipeline.maybe_free_model_hooks()  # the hooks that move its parts are those of the one that was placed
        return drawn

    def unload(self) -> None:
        if self.pipeline is None:
            return
        self.texts.clear()  # whoever still knows the cache keeps nothing alive with it
        self._forget()
        free_memory()

    def _forget(self) -> None:
        self._pipelines.clear()
        self.pipeline = self.texts = self.previewer = None

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


def ignore_step(step: int, total: int, previews: PreviewSource | None = None) -> None:
    """For pictures that nobody waits for."""
