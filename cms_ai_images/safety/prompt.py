"""What a prompt must pass before it is queued."""

from __future__ import annotations

import unicodedata

from cms_ai_images.exceptions import PromptEmpty, PromptTooLong


def clean_prompt(text: str, limit: int | None = None) -> str:
    """The prompt in NFC, without control characters (PostgreSQL refuses NUL) and outer space.

    Raises `PromptEmpty`, or `PromptTooLong` for more than `limit` characters.
    """
    text = clean_text(text)
    if not any(_is_visible(char) for char in text):
        raise PromptEmpty
    if limit is not None and len(text) > limit:
        raise PromptTooLong(length=len(text), limit=limit)
    return text


def clean_negative_prompt(text: str, limit: int | None = None) -> str:
    """The same for what should not be in the picture, which may be empty."""
    text = clean_text(text)
    if limit is not None and len(text) > limit:
        raise PromptTooLong(length=len(text), limit=limit, field="negative_prompt")
    return text


def clean_text(text: str) -> str:
    """Drop control and surrogate characters; keep line breaks, emoji joiners and right-to-left marks."""
    normal = unicodedata.normalize("NFC", text)
    return "".join(char for char in normal if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cs"}).strip()


def _is_visible(char: str) -> bool:
    """Neither space nor a formatting mark, of which alone no picture can be drawn."""
    return not char.isspace() and unicodedata.category(char) != "Cf"
