"""Models that stay loaded between tasks."""

from __future__ import annotations

import dataclasses
import logging
import time

from cms_ai_images.backends import get_backend_class
from cms_ai_images.backends.base import Backend
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
    """One backend per model, loaded at first use. A model whose row was changed is loaded anew."""

    def __init__(self) -> None:
        self._loaded: dict[str, Resident] = {}

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
            return self._loaded[model.slug].backend
        self.drop(model.slug)
        spec = model.spec()
        backend = get_backend_class(model.backend)(spec)
        started = time.monotonic()
        backend.load()
        logger.info("Loaded %s on %s in %.1f s", model.slug, backend.device, time.monotonic() - started)
        self._loaded[model.slug] = Resident(alias=model.backend, spec=spec, backend=backend)
        return backend

    def drop(self, slug: str) -> None:
        """Unload a model and free its memory."""
        if resident := self._loaded.pop(slug, None):
            resident.backend.unload()
