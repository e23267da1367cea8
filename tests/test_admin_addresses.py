"""Addresses of admin pages that nobody would type: each is answered with a page, on every database."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import NoReverseMatch, reverse

from cms_ai_images.models import AuditEntry, CreditEntry, GenerationModel, GenerationTask, StylePreset

from .admin_pages import url
from .factories import make_task

pytestmark = pytest.mark.django_db

PAGES = [model for model in django_admin.site._registry if model._meta.app_label == "cms_ai_images"]
ZERO, LONG = "a\0b", "9" * 30
LIST_AGAIN = "?e=1"


def names_of(model: Any) -> list[str]:
    """What the address of this table's list may hold: search, order, page and filters, and a lookup of one's own."""
    admin = django_admin.site._registry[model]
    own = [each if isinstance(each, str) else each.parameter_name for each in admin.list_filter]
    lookups = [f"{name}{lookup}" for name in own for lookup in ("", "__exact")]
    days = [f"{admin.date_hierarchy}__year"] if admin.date_hierarchy else []
    return ["q", "o", "p", "from", f"{model._meta.pk.name}__in", *lookups, *days]


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model.__name__)
def test_a_list_takes_whatever_its_address_holds(admin_browser: Client, model: Any) -> None:
    pages = [url(model, "changelist")]
    with suppress(NoReverseMatch):
        pages.append(url(model, "export"))
    for page in pages:
        for name in names_of(model):
            for value in (ZERO, LONG, "-1"):
                answer = admin_browser.get(f"{page}?{urlencode({name: value})}")  # an error in it would be raised here
                assert answer.status_code in (200, 302, 400), (name, value)


@pytest.mark.parametrize(
    ("model", "query"),
    [
        (GenerationTask, {"uuid__regex": "("}),
        (GenerationTask, {"created_at__year": LONG}),
        (GenerationTask, {"id__range": "1"}),
        (AuditEntry, {"created_at__year": LONG}),
    ],
)
def test_what_cannot_be_looked_for_leads_to_the_whole_list(
    admin_browser: Client, author: User, model: Any, query: dict[str, str]
) -> None:
    make_task(author)
    answer = admin_browser.get(f"{url(model, 'changelist')}?{urlencode(query)}")
    assert (answer.status_code, answer["Location"]) == (302, url(model, "changelist") + LIST_AGAIN)
    assert admin_browser.get(answer["Location"]).status_code == 200


def test_an_error_of_a_list_that_nobody_narrowed_is_not_the_address_fault(
    admin_browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = django_admin.site._registry[GenerationModel]
    monkeypatch.setattr(admin, "get_queryset", lambda request: GenerationModel.objects.extra(where=["no_such_column"]))
    with pytest.raises(Exception, match="no_such_column"):
        admin_browser.get(url(GenerationModel, "changelist"))


@pytest.mark.parametrize("value", [ZERO, "x", LONG])
@pytest.mark.parametrize(("model", "name"), [(CreditEntry, "account"), (StylePreset, "thumbnail"), (StylePreset, "no")])
def test_a_form_passes_over_keys_that_no_row_can_have(admin_browser: Client, model: Any, name: str, value: str) -> None:
    page = admin_browser.get(f"{url(model, 'add')}?{urlencode({name: value, 'note': 'A gift', 'name': 'A style'})}")
    assert page.status_code == 200
    assert ("A gift" if model is CreditEntry else "A style") in page.content.decode()


def test_a_choice_of_rows_finds_nothing_by_a_zero_byte(admin_browser: Client) -> None:
    asked = {"app_label": "cms_ai_images", "model_name": "creditentry", "field_name": "account", "term": ZERO}
    assert admin_browser.get(f"{reverse('admin:autocomplete')}?{urlencode(asked)}").json()["results"] == []
