"""How long a body is that came in pieces: HTTP does not say, and Django takes it for empty."""

from __future__ import annotations

import io

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest

from cms_ai_images.exceptions import LengthRequired


def measure(request: HttpRequest) -> None:
    """Note the length of a body that came without one (`Transfer-Encoding: chunked`, or HTTP/2).

    Under ASGI all of it is there before the view is called. Raises `LengthRequired` under WSGI, where nobody can know
    whether the server tells where it ends.
    """
    if request.META.get("CONTENT_LENGTH"):
        return
    if isinstance(request, ASGIRequest):
        body = request._stream
        here = body.tell()
        request.META["CONTENT_LENGTH"] = str(body.seek(0, io.SEEK_END))
        body.seek(here)
    elif "HTTP_TRANSFER_ENCODING" in request.META:
        raise LengthRequired
