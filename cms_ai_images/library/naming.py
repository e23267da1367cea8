"""What a picture is called until its author says otherwise."""

from __future__ import annotations

from django.utils.text import slugify

from cms_ai_images.models import GeneratedImage
from cms_ai_images.types import OutputFormat

MAX_LENGTH = 255
"""Characters that django-filer keeps of a name, an alternative text or a caption."""


def title(image: GeneratedImage) -> str:
    """A name for people: the start of the prompt on one line."""
    return shorten(" ".join(image.task.prompt.split()), 80)


def file_name(image: GeneratedImage) -> str:
    """A name for the file: the start of the prompt in ASCII, made unique by task, index and content."""
    words = slugify(image.task.prompt)[:50].strip("-") or "ai-image"
    extension = OutputFormat(image.output_format).extension
    return f"{words}-{image.task.uuid.hex[:12]}-{image.index + 1}-{image.sha256[:8]}.{extension}"


def shorten(text: str, length: int = MAX_LENGTH) -> str:
    """The text within so many code points, which is what databases count (Django's `Truncator` skips accents)."""
    text = text.strip()
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
