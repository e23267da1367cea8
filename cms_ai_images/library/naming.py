"""What a picture is called until its author says otherwise."""

from __future__ import annotations

import re

from django.utils.text import slugify

from cms_ai_images.models import GeneratedImage, GenerationTask
from cms_ai_images.types import OutputFormat

MAX_LENGTH = 255
"""Characters that django-filer keeps of a name, an alternative text or a caption."""

ENDING = re.compile(r"\.(png|jpe?g|webp|gif|avif)\s*$", re.IGNORECASE)
"""What people add to a file's name out of habit; the format says which ending it has."""


def title(task: GenerationTask) -> str:
    """A name for people: the start of the prompt on one line."""
    return shorten(" ".join(task.prompt.split()), 80)


def alt_text(task: GenerationTask) -> str:
    """A first alternative text: the prompt on one line. Somebody who looks at the picture knows better."""
    return shorten(" ".join(task.prompt.split()))


def download_name(image: GeneratedImage) -> str:
    """A name for somebody's own disk: the start of the prompt in its own script, and the picture's number."""
    words = slugify(image.task.prompt, allow_unicode=True)[:50].strip("-") or "ai-image"
    return f"{words}-{image.index + 1}.{OutputFormat(image.output_format).extension}"


def file_name(image: GeneratedImage, name: str = "") -> str:
    """A name for the file: what its author calls it, else the start of the prompt; unique by task, index and content.

    The words are in ASCII, as every storage and address takes them. An author's name that has none of it gives way to
    a neutral one, never to the prompt, which readers are not meant to see in an address.
    """
    words = slugify(re.sub(r"[./\\]", " ", ENDING.sub("", name.strip() or image.task.prompt)))[:50].strip("-_")
    extension = OutputFormat(image.output_format).extension
    return f"{words or 'ai-image'}-{image.task.uuid.hex[:12]}-{image.index + 1}-{image.sha256[:8]}.{extension}"


def shorten(text: str, length: int = MAX_LENGTH) -> str:
    """The text within so many code points, which is what databases count (Django's `Truncator` skips accents)."""
    text = text.strip()
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
