"""What stands behind the question mark of an address."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from cms_ai_images.exceptions import UnknownParameter


def asked(request: Request, shape: type[serializers.Serializer]) -> dict[str, Any]:
    """The query string as `shape` reads it. A parameter without a value is as good as none.

    Raises `UnknownParameter` for one that `shape` does not have, and the framework's `ValidationError`.
    """
    given = shape(data={name: value for name, value in request.query_params.items() if value})
    for name in request.query_params:
        if name not in given.fields:
            raise UnknownParameter(field=name, known=", ".join(given.fields))
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)
