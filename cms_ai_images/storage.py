"""Where drafts are kept: the private storage alias that the setting `DRAFT_STORAGE` names."""

from __future__ import annotations

from django.core.files.storage import Storage, storages
from django.utils.functional import LazyObject

from . import conf


class DraftStorage(LazyObject):
    """Looks the alias up at first use, so that importing the models needs no configured storage."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What a model's field asks when it is defined, which must not look anything up yet."""
        return Storage

    def _setup(self) -> None:
        self._wrapped = storages[conf.get("DRAFT_STORAGE")]


_draft_storage = DraftStorage()


def draft_storage() -> Storage:
    """The storage of `GeneratedImage.file`; migrations refer to this function, never to its result."""
    return _draft_storage  # type: ignore[return-value]
