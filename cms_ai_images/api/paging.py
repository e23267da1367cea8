"""Pages of tasks, by cursor: each costs the same wherever it is in the history, and none shifts while tasks come."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from cms_ai_images.exceptions import InvalidRequest

LARGEST_KEY = 2**63 - 1


class NewestFirst(CursorPagination):
    """By primary key, which never changes and says what came later."""

    ordering = "-id"
    page_size = 20
    max_page_size = 100

    def __init__(self, length: int = page_size) -> None:
        super().__init__()
        self.page_size = length

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Raises `InvalidRequest` for one that no page has handed out; the framework only looks at its wrapping."""
        try:
            cursor = super().decode_cursor(request)
        except NotFound as error:
            raise InvalidRequest(field=self.cursor_query_param) from error
        if cursor is not None and cursor.position is not None and not _is_key(cursor.position):
            raise InvalidRequest(field=self.cursor_query_param)
        return cursor


def _is_key(position: Any) -> bool:
    return len(position) < 20 and position.isascii() and position.isdigit() and int(position) <= LARGEST_KEY
