"""The same picture in several widths, so that a phone does not load what a large screen needs."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from django.db import DatabaseError, models
from django.utils.translation import gettext_lazy as _
from easy_thumbnails.files import get_thumbnailer

logger = logging.getLogger(__name__)

WIDTHS = (320, 640, 960, 1280, 1920)
"""Pixels. A picture that is narrower ends the list with its own width: nothing is ever enlarged."""


class Shape(models.TextChoices):
    """Width to height."""

    SQUARE = "1:1", _("square")
    CLASSIC = "3:2", _("landscape, 3:2")
    WIDE = "16:9", _("landscape, 16:9")
    PORTRAIT = "2:3", _("portrait, 2:3")

    @property
    def ratio(self) -> float:
        """Width divided by height."""
        width, height = self.value.split(":")
        return int(width) / int(height)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Renditions:
    """What an `<img>` needs. `srcset` is empty where there is nothing to choose from; sizes are in pixels."""

    src: str
    width: int
    height: int
    srcset: str = ""


def renditions(picture: Any, shape: str = "") -> Renditions | None:
    """Those of a filer image, made at first use and kept by easy-thumbnails in the storage for thumbnails.

    `None` when the library has no such file any more. A storage that does not answer is no reason to lose the page:
    the original's address is given then, and the log says why.
    """
    if not picture or not picture.file:
        return None
    size = (int(picture.width or 0), int(picture.height or 0))
    if not all(size):  # an SVG without a size, for example
        return Renditions(src=picture.url, width=0, height=0)
    full = _cropped(size, shape)
    sizes = [_scaled(full, width) for width in WIDTHS if width < full[0]]
    sizes.append(_scaled(full, min(full[0], WIDTHS[-1])))
    try:
        addresses = [_address(picture, size, wanted) for wanted in sizes]
    except DatabaseError:
        raise  # the rest of the page needs it as well
    except Exception as error:  # noqa: BLE001 - each storage backend has errors of its own (botocore's, Azure's)
        logger.warning("No renditions of the library file %s: %s", picture.pk, error)
        return Renditions(src=picture.url, width=size[0], height=size[1])
    entries = [f"{address} {width}w" for address, (width, _height) in zip(addresses, sizes, strict=True)]
    srcset = ", ".join(entries) if len(entries) > 1 else ""
    return Renditions(src=addresses[-1], width=sizes[-1][0], height=sizes[-1][1], srcset=srcset)


def _cropped(size: tuple[int, int], shape: str) -> tuple[int, int]:
    """The largest size of this shape within the picture."""
    if shape not in Shape.values:
        return size
    width, height = size
    ratio = Shape(shape).ratio
    return (width, max(1, round(width / ratio))) if width / height < ratio else (max(1, round(height * ratio)), height)


def _scaled(full: tuple[int, int], width: int) -> tuple[int, int]:
    return width, max(1, round(full[1] * width / full[0]))


def _address(picture: Any, size: tuple[int, int], wanted: tuple[int, int]) -> str:
    if wanted == size:
        return str(picture.url)
    options = {"size": wanted, "crop": True, "subject_location": picture.subject_location}
    return str(get_thumbnailer(picture).get_thumbnail(options).url)
