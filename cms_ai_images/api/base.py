"""What all API views share, independent of the site's own REST framework settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.authentication import SessionAuthentication
from rest_framework.parsers import JSONParser
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from cms_ai_images import services
from cms_ai_images.api.authentication import TokenAuthentication, check_scope
from cms_ai_images.api.problems import exception_handler
from cms_ai_images.models.tokens import Scope


class MayGenerate(BasePermission):
    """Known, with the permission `cms_ai_images.generate` and the token's scope; says which of them is missing."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Raises the error itself, so that its code and sentence reach the caller."""
        services.check_permission(request.user)
        is_read = request.method in SAFE_METHODS
        check_scope(request.auth, Scope.READ if is_read else getattr(view, "write_scope", Scope.GENERATE))
        return True


class AIImagesView(APIView):
    """Session login with CSRF or a personal token, JSON only, problem details for every error."""

    write_scope = Scope.GENERATE
    """What a token needs for everything but looking."""
    authentication_classes = (TokenAuthentication, SessionAuthentication)
    permission_classes = (MayGenerate,)
    parser_classes = (JSONParser,)
    renderer_classes = (JSONRenderer,)
    throttle_classes = ()

    def get_exception_handler(self) -> Callable[[Exception, Any], Any]:
        """Ours, not the site's."""
        return exception_handler
