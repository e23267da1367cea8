"""The registry of backends: aliases from the setting `BACKENDS`, classes as dotted paths.

Dotted paths, so that naming a backend in a form or a check imports neither its class nor what it needs.
"""

from __future__ import annotations

from typing import cast

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from cms_ai_images import conf
from cms_ai_images.exceptions import UnknownBackend

from .base import Backend

__all__ = ["Backend", "get_backend_class"]


def get_backend_class(alias: str) -> type[Backend]:
    """The class behind an alias. Raises `UnknownBackend`, or `ImproperlyConfigured` where its path leads nowhere."""
    paths = conf.get("BACKENDS")
    if alias not in paths:
        raise UnknownBackend(backend=alias, known=", ".join(sorted(paths)))
    try:
        backend = import_string(paths[alias])
    except ImportError as error:
        raise ImproperlyConfigured(f"CMS_AI_IMAGES['BACKENDS']['{alias}'] cannot be imported: {error}") from error
    if not (isinstance(backend, type) and issubclass(backend, Backend)):
        raise ImproperlyConfigured(f"CMS_AI_IMAGES['BACKENDS']['{alias}'] is not a Backend: {paths[alias]}")
    return cast("type[Backend]", backend)
