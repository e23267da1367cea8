"""Small pictures of what is being drawn, now and then."""

from __future__ import annotations

import time
from io import BytesIO

from PIL import Image

from cms_ai_images import conf
from cms_ai_images.types import PreviewSource


class Previews:
    """Asks for previews at most every `PREVIEW_SECONDS`, so that fast models do not pay for them at every step."""

    def __init__(self) -> None:
        self._next = time.monotonic() + conf.get("PREVIEW_SECONDS")

    def due(self, step: int, total: int, source: PreviewSource | None) -> list[list[bytes]]:
        """The JPEGs of each request of the batch, one for each of its pictures; empty when it is not the time.

        The first step shows noise and the last one is followed by the picture itself.
        """
        if source is None or step in (1, total) or time.monotonic() < self._next:
            return []
        self._next = time.monotonic() + conf.get("PREVIEW_SECONDS")
        return [[_jpeg(picture) for picture in pictures] for pictures in source()]


def _jpeg(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()
