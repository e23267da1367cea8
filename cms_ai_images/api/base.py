"""What all API views share, independent of the site's own REST framework settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.authentication import SessionAuthentication
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from cms_ai_images import services
from cms_ai_images.api.problems import exception_handler


class MayGenerate(BasePermission):
    """Logged in, with the permission `cms_ai_images.generate`; says which of the two is missing."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Raises the error itself, so that its code and sentence reach the caller."""
        services.check_permission(request.user)
        return True


class AIImagesView(APIView):
    """Session login with CSRF, JSON only, problem details for every error."""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (MayGenerate,)
    parser_classes = (JSONParser,)
    renderer_classes = (JSONRenderer,)
    throttle_classes = ()

    def get_exception_handler(self) -> Callable[[Exception, Any], Any]:
        """Ours, not the site's."""
        return exception_handler
