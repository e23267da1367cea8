"""The root of the tree, and how a class is found by its code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class AIImagesError(Exception):
    """The root. `field` names the input that is at fault, where there is one."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    message: ClassVar[str | Promise] = _("Something went wrong. Please try again.")
    author_message: ClassVar[str | Promise | None] = None
    """What an author is told instead, where `message` holds something that is the administrators' business."""
    retryable: ClassVar[bool] = False
    retry_after: int = 10
    """Seconds until it is worth trying again, where that can help at all; an instance may know better."""
    field: str | None = None

    def __init__(self, *, field: str | None = None, retry_after: int | None = None, **params: Any) -> None:
        self.field = field or type(self).field
        self.retry_after = retry_after or type(self).retry_after
        self.params = params
        super().__init__(self.code)

    def __str__(self) -> str:
        return str(self.message) % self.params if self.params else str(self.message)

    @property
    def plain_params(self) -> dict[str, Any]:
        """What the message is filled with, as JSON can hold it."""
        return {name: value if isinstance(value, int | float) else str(value) for name, value in self.params.items()}


def by_code(code: str) -> type[AIImagesError] | None:
    """The class that has this code."""
    return next((error for error in _subclasses(AIImagesError) if error.code == code), None)


def known() -> list[type[AIImagesError]]:
    """Every class that the app itself defines."""
    return [error for error in _subclasses(AIImagesError) if error.__module__.startswith(f"{__package__}.")]


def describe(code: str, params: dict[str, Any]) -> str | None:
    """What an author is told of a code, in the reader's language; `None` for what no class knows."""
    error = by_code(code)
    if error is None:
        return None
    try:
        message = str(error.author_message or error.message)
        return message % params if params else message
    except (KeyError, TypeError, ValueError):
        return None


def _subclasses(parent: type[AIImagesError]) -> Iterator[type[AIImagesError]]:
    yield parent
    for child in parent.__subclasses__():
        yield from _subclasses(child)
