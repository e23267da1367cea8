"""The admin's pages as a browser reads and posts them."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from cms_ai_images.models import GenerationTask


def url(model: type, page: str, *args: Any) -> str:
    return reverse(f"admin:cms_ai_images_{model._meta.model_name}_{page}", args=args)


def form_of(response: HttpResponse) -> dict[str, Any]:
    """What a browser would post back of an admin page if nobody touched it."""
    form = response.context["adminform"].form
    data: dict[str, Any] = {}
    for field in form:
        value = field.value()
        if value is not None and value is not False:
            data[field.html_name] = field.field.prepare_value(value) if isinstance(value, dict) else value
    for formset in response.context["inline_admin_formsets"]:
        data |= {f"{formset.formset.prefix}-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    return data


def errors_of(response: HttpResponse) -> dict[str, list[str]]:
    assert response.status_code == 200, "the form was taken"
    return dict(response.context["adminform"].form.errors)


def act(client: Client, action: str, *tasks: GenerationTask) -> HttpResponse:
    chosen = {"action": action, "_selected_action": [task.pk for task in tasks]}
    return client.post(url(GenerationTask, "changelist"), chosen, follow=True)
