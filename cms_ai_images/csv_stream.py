"""CSV that is sent while it is read, in chunks, and that a spreadsheet takes for text and not for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header

Row = Sequence[Any]

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that Excel, LibreOffice or Google Sheets may run (OWASP, "CSV Injection")."""
MARK = "\N{BYTE ORDER MARK}"
"""Without it Excel does not read UTF-8."""


def response(request: HttpRequest, name: str, header: Row, chunks: Iterable[Iterable[Row]]) -> StreamingHttpResponse:
    """A download called `name`. Each chunk of rows is read when the one before it has been sent.

    A chunk should come of a query of its own: between two of them no cursor and no transaction is kept open.
    """
    lines = _lines(header, chunks)
    # A server that speaks ASGI would collect everything that a plain iterator gives before it sends anything.
    body: Any = _in_threads(lines) if isinstance(request, ASGIRequest) else lines
    stream = StreamingHttpResponse(body, content_type="text/csv; charset=utf-8")
    stream["Content-Disposition"] = content_disposition_header(True, name) or ""
    stream["Cache-Control"] = "no-store"
    stream["X-Content-Type-Options"] = "nosniff"
    return stream


def cell(value: Any) -> Any:
    """Text that begins like a formula with an apostrophe before it; numbers as they are."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _lines(header: Row, chunks: Iterable[Iterable[Row]]) -> Iterator[bytes]:
    yield MARK.encode() + _encoded([header])
    for rows in chunks:
        yield _encoded(rows)


def _encoded(rows: Iterable[Row]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([cell(value) for value in row] for row in rows)
    return buffer.getvalue().encode()


async def _in_threads(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (line := await sync_to_async(lambda: next(lines, None))()) is not None:
        yield line
