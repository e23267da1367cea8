"""The one page that is not JSON: the fragment that `<ai-image-dialog>` puts into its shadow root."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from cms_ai_images import services
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
    context["sees_all"] = services.sees_all(request.user)
    return render(request, "cms_ai_images/dialog/dialog.html", context)
