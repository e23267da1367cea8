"""The API as a program or a browser calls it."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client
from django.urls import reverse


def url(name: str, *arguments: Any) -> str:
    """The address of what `cms_ai_images.urls` calls `name`."""
    return reverse(f"cms_ai_images:{name}", args=arguments)


def post(client: Client, path: str, data: Any = None, **headers: str) -> Any:
    """The answer to a body of JSON, by default an empty object."""
    return client.post(path, json.dumps(data or {}), content_type="application/json", headers=headers)
