"""Small renditions of library files."""

from __future__ import annotations

from typing import Any

from easy_thumbnails.exceptions import EasyThumbnailsError

OPTIONS = {"size": (480, 480)}
"""One size for every list and grid; browsers scale it down further."""


def thumbnail_url(filer_image: Any) -> str:
    """A small rendition, made at first sight; the picture itself where none can be made."""
    try:
        return str(filer_image.file.get_thumbnail(OPTIONS).url)
    except (EasyThumbnailsError, OSError):
        return str(filer_image.url)
