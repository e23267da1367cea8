"""django-rq's pages, for those who are meant to see them.

They show the first words of everybody's prompts, and a click there repeats, stops or delays anybody's task. django-rq
hides its link from whoever lacks its permission, and still lets in every member of staff who knows the address.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern
from django_rq.admin import QueueAdmin  # the import registers it, so that it is there to be replaced
from django_rq.models import Dashboard

PERMISSION = "django_rq.admin"
"""“Access admin page”: django-rq's own."""


class GuardedQueueAdmin(QueueAdmin):
    """The same pages, which ask for the permission."""

    def get_urls(self) -> list[URLPattern]:
        """Those of django-rq, each with a look at who asks."""
        patterns: list[URLPattern] = super().get_urls()
        for pattern in patterns:
            pattern.callback = guarded(pattern.callback)
        return patterns


def guarded(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The view, for staff with the permission. Whoever is not staff is left to it: it has a login, or wants a token."""

    @wraps(view)
    def guard(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_staff and not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guard


# A site may have taken the pages away, or put its own in their place.
if admin.site.is_registered(Dashboard) and type(admin.site.get_model_admin(Dashboard)) is QueueAdmin:
    admin.site.unregister(Dashboard)
    admin.site.register(Dashboard, GuardedQueueAdmin)
