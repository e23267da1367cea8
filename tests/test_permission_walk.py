"""Every URL, asked for by everybody: the answers are those of the tables in `docs/permissions.md`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib import admin as django_admin
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import AsyncClient, Client, RequestFactory
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver
from rest_framework.views import APIView

from cms_ai_images import audit, groups, preferences, tokens
from cms_ai_images.api.openai import shapes
from cms_ai_images.library import references
from cms_ai_images.models import (
    CreditAccount,
    CreditEntry,
    GroupLimits,
    UserPreference,
    WebhookDelivery,
    WebhookEndpoint,
)
from cms_ai_images.types import Status

from .conftest import make_user
from .factories import make_image, make_model, make_preset, make_task, make_worker
from .test_references import png

pytestmark = pytest.mark.django_db

PAGE = Path(settings.BASE_DIR, "docs", "permissions.md")
PEOPLE = ["anonymous", "staff", "other", "editor", "designer", "manager", "administrator"]
"""As the columns of the tables have them. `editor` is whose task, picture, token and account everything is about."""
ADMIN = "admin/cms_ai_images/"
PAGES = {"": "list", "add/": "add", "{id}/change/": "view", "{id}/history/": "view", "{id}/delete/": "delete"}
"""What each page of a table in the admin is for."""


# -- What there is -----------------------------------------------------------------------------------------------------


def routes(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """All URLs of the app with placeholders as the tables have them: `tasks/{uuid}/`."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        elif route.startswith(("ai-images/", ADMIN)):
            yield re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route).replace("{object_id}", "{id}"), pattern


def table(heading: str) -> dict[str, list[str]]:
    """A table of the page: the cells by what stands in the first one."""
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.MULTILINE)
    assert len(rows) == len(dict(rows)), "something stands there twice"
    return {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in rows}


# -- Who asks, and what for --------------------------------------------------------------------------------------------


class World:
    """People, and something of the editor's in every table."""

    def __init__(self) -> None:
        groups.ensure()
        self.people: dict[str, User | None] = {"anonymous": None, "staff": make_user("staff", is_staff=True)}
        for name, group in {
            "other": "Editor",
            "editor": "Editor",
            "designer": "Designer",
            "manager": "AI image manager",
        }.items():
            self.people[name] = user = make_user(name, is_staff=True)
            user.groups.add(Group.objects.get(name=group))
        self.people["administrator"] = make_user("administrator", is_staff=True, is_superuser=True)
        self.editor = editor = self.people["editor"]
        assert editor is not None
        self.secrets = {name: tokens.issue(user, "walk")[1] for name, user in self.people.items() if user}

        make_worker()
        self.model = make_model()
        self.preset = make_preset()
        self.succeeded = make_task(editor, status=Status.SUCCEEDED)
        self.failed = make_task(editor, status=Status.FAILED)
        self.waiting = make_task(editor)
        self.image = make_image(task=self.succeeded)
        self.reference = references.keep(editor, png())
        self.favourite = preferences.add_favourite(editor, "Mine", {"num_images": 1})["id"]
        account = CreditAccount.objects.create(user=editor, balance=5)
        endpoint = WebhookEndpoint.objects.create(name="hook", url="https://example.org/", user=editor)
        self.rows = {
            "apitoken": tokens.issue(editor, "mine")[0],
            "auditentry": audit.record(audit.Action.CANCELLED, self.waiting, by=editor),
            "creditaccount": account,
            "creditentry": CreditEntry.objects.create(account=account, kind="grant", amount=5),
            "generatedimage": self.image,
            "generationmodel": self.model,
            "generationtask": self.succeeded,
            "grouplimits": GroupLimits.objects.create(group=Group.objects.create(name="Anybody")),
            "stylepreset": self.preset,
            "userpreference": UserPreference.objects.get(user=editor),
            "webhookdelivery": WebhookDelivery.objects.create(
                endpoint=endpoint, event="task.succeeded", task_uuid=self.succeeded.uuid, payload={}
            ),
            "webhookendpoint": endpoint,
            "worker": make_worker(stopped_at=self.succeeded.started_at),
        }

    @property
    def keys(self) -> list[bytes]:
        """What nobody but the editor is told."""
        tasks = (self.succeeded, self.failed, self.waiting)
        return [*(str(row.uuid).encode() for row in (*tasks, self.image, self.reference)), self.favourite.encode()]

    def url(self, route: str) -> str:
        """With the editor's things in place of the placeholders."""
        task = {"cancel": self.waiting, "retry": self.failed}.get(route.rstrip("/").split("/")[-1], self.succeeded)
        uuids = {"tasks": task, "images": self.image, "references": self.reference}
        uuid = next((row.uuid for name, row in uuids.items() if f"/{name}/{{uuid}}" in route), "")
        table = route.removeprefix(ADMIN).split("/")[0]
        values = {
            "uuid": uuid,
            "index": 0,
            "favourite": self.favourite,
            "name": self.model.slug,
            "id": self.rows[table].pk if "{id}" in route else "",
        }
        if "{signed}" in route:
            request = RequestFactory().get("/")
            return shapes.images_json(request, self.succeeded, as_url=True)["data"][0]["url"].split("testserver")[1]
        return "/" + re.sub(r"{(\w+)}", lambda found: str(values.get(found[1], "anything")), route)

    def ask(self, person: str, method: str, route: str) -> Any:
        """The answer; what it changed is undone."""
        headers = {}
        if "openai/" in route and person in self.secrets:  # a session is not enough there
            headers["Authorization"] = f"Bearer {self.secrets[person]}"
        client: Any = AsyncClient() if route.endswith("/events/") else Client()
        user = self.people[person]
        if user is not None:
            client.force_login(user)
        body = BODIES.get(f"{method} {route}")
        kind: dict[str, Any] = {"data": body, "content_type": "application/json"} if body is not None else {}
        if method == "POST" and route.endswith("references/"):
            kind = {"data": {"file": SimpleUploadedFile("slope.png", png(), "image/png")}}
        with transaction.atomic():
            asked = getattr(client, method.lower())
            call = async_to_sync(asked) if isinstance(client, AsyncClient) else asked
            response = call(self.url(route), headers=headers, **kind)
            if response.streaming and not response.is_async:
                list(response.streaming_content)
            transaction.set_rollback(True)
        return response


BODIES: dict[str, Any] = {
    "POST ai-images/api/v1/tasks/": {"prompt": "a boat"},
    "POST ai-images/api/v1/images/{uuid}/accept/": {},
    "PATCH ai-images/api/v1/preferences/": {"last": {"num_images": 2}},
    "POST ai-images/api/v1/preferences/favourites/": {"name": "Other", "settings": {"num_images": 2}},
    "POST ai-images/openai/v1/images/generations": {"prompt": ""},  # whoever may ask is told what is wrong
}


@pytest.fixture
def world(settings: Any) -> World:
    """On a site where pictures cost points, which these do not."""
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "CREDITS": True, "QUEUE_WITHOUT_WORKER": True}
    return World()


# -- The walk ----------------------------------------------------------------------------------------------------------


def test_every_url_is_in_a_table() -> None:
    everything = dict(routes())
    documented = {name.split(" ", 1)[1] for name in table("The API and the dialog")}
    assert documented == {route for route in everything if not route.startswith(ADMIN)}
    tables = {
        model._meta.model_name for model in django_admin.site._registry if model._meta.app_label == "cms_ai_images"
    }
    assert set(table("The admin")) == tables
    known = {f"{ADMIN}{name}/{page}" for name in tables for page in [*PAGES, "{id}/", "export/"]}
    assert {route for route in everything if route.startswith(ADMIN)} <= known


def test_every_method_of_the_api_is_in_a_table() -> None:
    for route, pattern in routes():
        view = getattr(pattern.callback, "view_class", None)
        if view is not None and issubclass(view, APIView):
            methods = {method for method in view().allowed_methods if method not in ("OPTIONS", "HEAD")}
            assert {f"{method} {route}" for method in methods} <= set(table("The API and the dialog"))


def test_the_api_answers_as_the_table_says(world: World) -> None:
    differing = []
    for name, cells in table("The API and the dialog").items():
        method, route = name.split(" ", 1)
        for person, expected in zip(PEOPLE, cells, strict=True):
            response = world.ask(person, method, route)
            if str(response.status_code) != expected:
                differing.append(f"{name}, {person}: {response.status_code} instead of {expected}")
            if person != "editor" and not response.streaming and any(key in response.content for key in world.keys):
                differing.append(f"{name}, {person}: tells of what is the editor's")
    assert differing == []


def test_the_admin_answers_as_the_table_says(world: World) -> None:
    differing = []
    for name, cells in table("The admin").items():
        for person, expected in zip(PEOPLE, cells, strict=True):
            if (found := possible(world, person, name)) != expected:
                differing.append(f"{name}, {person}: {found} instead of {expected}")
    assert differing == []


def possible(world: World, person: str, name: str) -> str:
    """The pages of a table that this person is shown, as a cell of the table says it."""
    shown = []
    existing = {route for route, _pattern in routes()}
    for page, what in {**PAGES, "export/": "export"}.items():
        route = f"{ADMIN}{name}/{page}"
        if route not in existing:
            continue
        response = world.ask(person, "GET", route)
        assert response.status_code in (200, 302, 403)
        if response.status_code == 200:
            can_change = page == "{id}/change/" and response.context["has_change_permission"]
            shown.append("change" if can_change else what)
        elif response.status_code == 302:  # to the login, or away from what is not theirs
            assert response.url.startswith("/admin/login/" if person == "anonymous" else "/admin/")
            assert person == "anonymous" or "{id}" in page
    if "change" in shown:
        shown = [what for what in shown if what != "view"]  # the history
    return ", ".join(dict.fromkeys(shown)) or "–"
