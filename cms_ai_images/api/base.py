"""What all API views share, independent of the site's own REST framework settings."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cms_ai_images import services
from cms_ai_images.api.authentication import TokenAuthentication, check_login, check_scope
from cms_ai_images.api.bodies import measure
from cms_ai_images.api.documentation import APISchema
from cms_ai_images.api.problems import exception_handler
from cms_ai_images.exceptions import RequestTooLarge
from cms_ai_images.models.tokens import Scope


class MayGenerate(BasePermission):
    """Known, with the permission `cms_ai_images.generate` and the token's scope; says which of them is missing."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Raises the error itself, so that its code and sentence reach the caller."""
        check_login(request, request.user)
        services.check_permission(request.user)
        is_read = request.method in SAFE_METHODS
        check_scope(request.auth, Scope.READ if is_read else getattr(view, "write_scope", Scope.GENERATE))
        return True


class OnlyJSON(BaseContentNegotiation):
    """JSON, whatever `Accept` says: pictures have addresses of their own, and there is nothing to choose."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """The one that takes the content type of the body; `None` where none does."""
        given = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == given), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        """The first one."""
        return renderers[0], renderers[0].media_type


class BoundedJSONParser(JSONParser):
    """Reads no further than `DATA_UPLOAD_MAX_MEMORY_SIZE`, which Django itself looks at for forms only.

    JSON is UTF-8 (RFC 8259), whatever the header says: some of Python's codecs unpack what they read, past any limit.
    """

    strict = True

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Raises `RequestTooLarge`, or the framework's `ParseError`."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        data = stream.read() if limit is None else stream.read(limit + 1)
        if limit is not None and len(data) > limit:
            raise RequestTooLarge(limit=limit)
        try:
            return super().parse(io.BytesIO(data), media_type, {**(parser_context or {}), "encoding": "utf-8"})
        except RecursionError as error:
            raise ParseError from error


class AIImagesView(APIView):
    """Session login with CSRF or a personal token, JSON only, problem details for every error.

    An answer to GET has an ETag: whoever asks again and again is told in a few bytes that nothing has changed.
    """

    write_scope = Scope.GENERATE
    """What a token needs for everything but looking."""
    authentication_classes = (TokenAuthentication, SessionAuthentication)
    permission_classes = (MayGenerate,)
    content_negotiation_class = OnlyJSON
    parser_classes = (BoundedJSONParser,)
    renderer_classes = (JSONRenderer,)
    throttle_classes = ()
    schema = APISchema()

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Outside of a transaction of the site's own (`ATOMIC_REQUESTS`): services have theirs, and wait in none."""
        return transaction.non_atomic_requests(super().as_view(**initkwargs))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before anything reads the body."""
        if request.method not in SAFE_METHODS:
            measure(request._request)
        super().initial(request, *args, **kwargs)

    def get_exception_handler(self) -> Callable[[Exception, Any], Any]:
        """Ours, not the site's."""
        return exception_handler

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """With an ETag where it is JSON that was asked for."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(response, Response) and request.method in ("GET", "HEAD") and response.status_code == 200:
            response.add_post_render_callback(lambda rendered: _conditional(request._request, rendered))
        return response


def _conditional(request: HttpRequest, response: Any) -> HttpResponseBase | None:
    """304 where the caller has exactly this already."""
    etag = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    patch_vary_headers(response, ["Authorization", "Cookie", "Accept-Language"])
    return get_conditional_response(request, etag=etag, response=response)
