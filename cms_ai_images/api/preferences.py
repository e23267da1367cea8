"""What the dialog remembers for the caller."""

from __future__ import annotations

import dataclasses

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from cms_ai_images import preferences
from cms_ai_images.api.base import AIImagesView
from cms_ai_images.api.documentation import documented
from cms_ai_images.api.shapes import (
    FavouriteChangeSerializer,
    FavouriteSerializer,
    PreferencesChangeSerializer,
    PreferencesSerializer,
)
from cms_ai_images.exceptions import InvalidRequest, UnknownParameter


class PreferencesView(AIImagesView):
    @documented({200: PreferencesSerializer})
    def get(self, request: Request) -> Response:
        """Last settings, favourite styles and favourite settings."""
        return Response(dataclasses.asdict(preferences.of(request.user)))

    @documented({200: PreferencesSerializer}, request=PreferencesChangeSerializer)
    def patch(self, request: Request) -> Response:
        """Store `last`, `favourite_presets`, or both; answers with everything."""
        data = _object(request, {"last", "favourite_presets"})
        preferences.remember(request.user, last=data.get("last"), favourite_presets=data.get("favourite_presets"))
        return self.get(request)


class FavouriteListView(AIImagesView):
    @documented({201: FavouriteSerializer}, request=FavouriteChangeSerializer)
    def post(self, request: Request) -> Response:
        """Keep a named set of settings."""
        data = _object(request, {"name", "settings"})
        favourite = preferences.add_favourite(request.user, data.get("name"), data.get("settings"))
        return Response(favourite, status=status.HTTP_201_CREATED)


class FavouriteView(AIImagesView):
    @documented({204: None})
    def delete(self, request: Request, favourite: str) -> Response:
        """Forget it."""
        preferences.remove_favourite(request.user, favourite)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _object(request: Request, known: set[str]) -> dict[str, object]:
    """The body, which must be a JSON object without anything unknown: a misspelt key would be lost silently."""
    if not isinstance(request.data, dict):
        raise InvalidRequest
    for name in request.data:
        if name not in known:
            raise UnknownParameter(field=str(name), known=", ".join(sorted(known)))
    return request.data
