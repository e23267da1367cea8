"""What is not JSON: the fragment that `<ai-image-dialog>` puts into its shadow root, its code and its look."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import etag, require_GET

from cms_ai_images import bundle, conf, services
from cms_ai_images.exceptions import AIImagesError


@login_not_required  # a redirect to a login page would end up inside the dialog; it says 401 itself
@require_GET
@never_cache
def dialog(request: HttpRequest) -> HttpResponse:
    """The dialog's markup and every text that its scripts need, in the reader's language.

    Somebody who may not use it gets the reason in a dialog too, with the status 401 or 403.
    """
    context: dict[str, Any] = {
        "api_url": reverse("cms_ai_images:task-list").removesuffix("tasks/"),
        "csrf_cookie": settings.CSRF_COOKIE_NAME,
    }
    try:
        services.check_permission(request.user)
    except AIImagesError as problem:
        return render(
            request, "cms_ai_images/dialog/problem.html", {**context, "problem": problem}, status=problem.status
        )
    context["examples"] = conf.get("PROMPT_EXAMPLES")
    context["sees_all"] = services.sees_all(request.user)
    return render(request, "cms_ai_images/dialog/dialog.html", context)


@login_not_required  # code and colours are nobody's secret
@require_GET
@etag(lambda request: bundle.script().etag)
def script(request: HttpRequest) -> HttpResponse:
    """The dialog's code."""
    return _served(request, bundle.script)


@login_not_required
@require_GET
@etag(lambda request: bundle.style().etag)
def style(request: HttpRequest) -> HttpResponse:
    """The dialog's look."""
    return _served(request, bundle.style)


def _served(request: HttpRequest, asset_of: Callable[[], bundle.Asset]) -> HttpResponse:
    """Compressed where that is understood. Browsers keep it and ask whether it is still the same."""
    asset = asset_of()
    is_small = bool(re.search(r"\bgzip\b", request.headers.get("Accept-Encoding", "")))
    response = HttpResponse(asset.gzipped if is_small else asset.data, content_type=asset.content_type)
    if is_small:
        response["Content-Encoding"] = "gzip"
    response["Cache-Control"] = "no-cache"
    patch_vary_headers(response, ["Accept-Encoding"])
    return response
