"""Pictures that people bring, and files of the media library."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.core.files.base import ContentFile
from filer.models import Folder
from filer.models import Image as FilerImage
from PIL import Image

SLANT = Image.linear_gradient("L").resize((80, 40)).convert("RGB")


def png(image: Image.Image = SLANT) -> bytes:
    """The picture as a file."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def filer_image(owner: Any = None, folder: Folder | None = None, data: bytes | None = None) -> FilerImage:
    file = ContentFile(data or png(), name="slant.png")
    return FilerImage.objects.create(owner=owner, folder=folder, file=file, original_filename="slant.png")
