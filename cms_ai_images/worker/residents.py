"""Models that stay loaded between tasks, the least recently used ones leaving when memory is short."""

from __future__ import annotations

import dataclasses
import logging
import time

from cms_ai_images import conf
from cms_ai_images.backends import get_backend_class
from cms_ai_images.backends.base import Backend
from cms_ai_images.exceptions import OutOfMemory
from cms_ai_images.models import GenerationModel
from cms_ai_images.types import ModelSpec

logger = logging.getLogger(__name__)


@dataclasses.dataclass(kw_only=True)
class Resident:
    """A loaded model and what it was loaded from."""

    alias: str
    spec: ModelSpec
    backend: Backend


class Residents:
    """One backend per model, loaded at first use. A model whose row was changed is loaded anew.

    All of them together stay within `MODEL_MEMORY_GIB`, as far as backends know their size: a model's size is known
    after it was loaded once. One that does not fit beside the others at all is tried again without them.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Resident] = {}  # the least recently used first
        self._sizes: dict[str, int] = {}

    @property
    def slugs(self) -> list[str]:
        """What is loaded, for the worker's row."""
        return sorted(self._loaded)

    @property
    def device(self) -> str:
        """Where the models are; empty until one is loaded."""
        return next((resident.backend.device for resident in self._loaded.values()), "")

    def has(self, model: GenerationModel) -> bool:
        """Whether the model is ready, so that drawing starts at once."""
        resident = self._loaded.get(model.slug)
        return resident is not None and (resident.alias, resident.spec) == (model.backend, model.spec())

    def get(self, model: GenerationModel) -> Backend:
        """The loaded backend of a model. Raises the `GenerationError` that says why it cannot be loaded."""
        if self.has(model):
            resident = self._loaded[model.slug] = self._loaded.pop(model.slug)
            return resident.backend
        self.drop(model.slug)
        self._make_room(self._sizes.get(model.slug, 0))
        resident = Resident(alias=model.backend, spec=model.spec(), backend=self._load(model))
        self._sizes[model.slug] = resident.backend.memory
        self._make_room(resident.backend.memory)
        self._loaded[model.slug] = resident
        return resident.backend

    def peek(self, model: GenerationModel) -> Backend:
        """Its backend as it is now, loaded or not, without touching the order in which models leave."""
        if self.has(model):
            return self._loaded[model.slug].backend
        return get_backend_class(model.backend)(model.spec())

    def drop(self, slug: str) -> None:
        """Unload a model and free its memory."""
        if resident := self._loaded.pop(slug, None):
            resident.backend.unload()
            logger.info("Unloaded %s", slug)

    def _load(self, model: GenerationModel) -> Backend:
        backend = get_backend_class(model.backend)(model.spec())
        started = time.monotonic()
        if not self._loads(backend):
            for slug in list(self._loaded):
                self.drop(slug)
            backend.load()  # not while the error is at hand, whose traceback may hold memory
        logger.info("Loaded %s on %s in %.1f s", model.slug, backend.device, time.monotonic() - started)
        return backend

    def _loads(self, backend: Backend) -> bool:
        """Load it; `False` when the others are in its way."""
        try:
            backend.load()
        except OutOfMemory:
            if not self._loaded:
                raise
            return False
        return True

    def _make_room(self, needed: int) -> None:
        """Unload the least recently used models until `needed` bytes fit into the budget."""
        budget = conf.get("MODEL_MEMORY_GIB")
        if budget is None:
            return
        while self._loaded and needed + sum(r.backend.memory for r in self._loaded.values()) > budget * 2**30:
            self.drop(next(iter(self._loaded)))
