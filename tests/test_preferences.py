"""What the dialog remembers for each user, through the API."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from cms_ai_images import preferences
from cms_ai_images.models import StylePreset, UserPreference

from .api import url
from .factories import make_preset

pytestmark = pytest.mark.django_db

ALL = {
    "preset": "pencil",
    "model": "",
    "size": "768x512",
    "quality": "high",
    "num_images": 4,
    "negative_prompt": "blurry, 模糊 🌫",
    "steps": 20,
    "guidance_scale": 4.5,
    "seed": 2**32 - 1,
    "output_format": "webp",
    "priority": "high",
}


def send(client: Client, method: str, path: str, data: object = None):
    return client.generic(method.upper(), path, json.dumps(data), content_type="application/json")


@pytest.fixture
def client(author) -> Client:
    client = Client()
    client.force_login(author)
    return client


def test_asking_stores_nothing(client):
    assert client.get(url("preferences")).json() == {"last": {}, "favourite_presets": [], "favourites": []}
    assert not UserPreference.objects.exists()


def test_last_settings_and_favourite_styles_are_kept_apart(client):
    make_preset("pencil", position=2)
    make_preset("ink", position=1)
    assert send(client, "patch", url("preferences"), {"last": ALL}).json()["last"] == ALL
    liked = send(client, "patch", url("preferences"), {"favourite_presets": ["pencil", "ink"]}).json()
    assert liked == {"last": ALL, "favourite_presets": ["ink", "pencil"], "favourites": []}
    send(client, "patch", url("preferences"), {"last": {}})
    assert client.get(url("preferences")).json() == {**liked, "last": {}}
    favourites = {preset["slug"]: preset["favourite"] for preset in client.get(url("preset-list")).json()["results"]}
    assert favourites == {"ink": True, "pencil": True}


def test_a_withdrawn_style_is_no_favourite_any_more_and_does_no_harm(client):
    make_preset("pencil")
    make_preset("ink")
    send(client, "patch", url("preferences"), {"favourite_presets": ["pencil", "ink"]})
    StylePreset.objects.filter(slug="ink").update(published=False)
    assert client.get(url("preferences")).json()["favourite_presets"] == ["pencil"]
    assert send(client, "patch", url("preferences"), {"favourite_presets": ["pencil"]}).status_code == 200


def test_favourites_come_and_go(client):
    answer = send(client, "post", url("favourite-list"), {"name": "  Covers 🦊 ", "settings": ALL})
    assert answer.status_code == 201
    favourite = answer.json()
    assert (favourite["name"], favourite["settings"]) == ("Covers 🦊", ALL)
    assert client.get(url("preferences")).json()["favourites"] == [favourite]
    assert client.delete(url("favourite-detail", favourite["id"])).status_code == 204
    assert client.get(url("preferences")).json()["favourites"] == []
    assert client.delete(url("favourite-detail", favourite["id"])).status_code == 404


def test_only_so_many_favourites_are_kept(client, author):
    for number in range(preferences.MAX_FAVOURITES):
        preferences.add_favourite(author, f"Number {number}", {})
    refused = send(client, "post", url("favourite-list"), {"name": "One more", "settings": {}})
    assert (refused.status_code, refused.json()["code"]) == (400, "too_many_favourites")
    assert "20 favourites" in refused.json()["detail"]


def test_nobody_reaches_anothers(client, other_author):
    theirs = preferences.add_favourite(other_author, "Theirs", ALL)
    preferences.remember(other_author, last=ALL)
    assert client.get(url("preferences")).json()["last"] == {}
    assert client.delete(url("favourite-detail", theirs["id"])).status_code == 404
    assert preferences.of(other_author).favourites == [theirs]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", "a fox"),
        ("preset", None),
        ("preset", "no slug!"),
        ("model", "x" * 51),
        ("size", "64×64"),
        ("size", [64, 64]),
        ("num_images", 0),
        ("num_images", "2"),
        ("num_images", True),
        ("negative_prompt", "x" * 10_001),
        ("quality", "as good as it gets"),
        ("negative_prompt", "nul \x00"),
        ("negative_prompt", "half a pair \ud83e"),
        ("steps", 2.5),
        ("guidance_scale", "high"),
        ("guidance_scale", 10**400),
        ("seed", 2**32),
        ("output_format", "gif"),
        ("output_format", []),
        ("priority", "urgent"),
    ],
)
def test_what_is_unknown_or_of_the_wrong_kind_is_refused_and_nothing_stored(client, name, value):
    for method, path, data, field in (
        ("patch", "preferences", {"last": {**ALL, name: value}}, f"last.{name}"),
        ("post", "favourite-list", {"name": "x", "settings": {**ALL, name: value}}, f"settings.{name}"),
    ):
        refused = send(client, method, url(path), data)
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["field"] == field
    assert preferences.SETTINGS.keys() == ALL.keys()
    assert not UserPreference.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "data", "field"),
    [
        ("patch", "preferences", [], None),
        ("patch", "preferences", {"lasts": {}}, "lasts"),
        ("patch", "preferences", {"last": []}, "last"),
        ("patch", "preferences", {"favourite_presets": "pencil"}, "favourite_presets"),
        ("patch", "preferences", {"favourite_presets": [1]}, "favourite_presets"),
        ("patch", "preferences", {"favourite_presets": ["gone"]}, "favourite_presets"),
        ("patch", "preferences", {"favourite_presets": ["others"]}, "favourite_presets"),
        ("post", "favourite-list", {"settings": {}}, "name"),
        ("post", "favourite-list", {"name": " ", "settings": {}}, "name"),
        ("post", "favourite-list", {"name": "x" * 61, "settings": {}}, "name"),
        ("post", "favourite-list", {"name": 5, "settings": {}}, "name"),
        ("post", "favourite-list", {"name": "x"}, "settings"),
    ],
)
def test_a_wrong_body_is_refused_at_its_field(client, method, path, data, field):
    make_preset("others", groups=(Group.objects.create(name="Others"),))
    refused = send(client, method, url(path), data)
    assert refused.status_code == 400
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("method", "path"), [("get", "preferences"), ("patch", "preferences"), ("post", "favourite-list")]
)
def test_it_takes_the_permission(reader, method, path):
    client = Client()
    assert send(client, method, url(path), {}).status_code == 401
    client.force_login(reader)
    assert send(client, method, url(path), {}).status_code == 403


def test_asking_costs_the_same_however_much_is_kept(client, author, django_assert_max_num_queries):
    presets = [make_preset(f"style-{number}").slug for number in range(10)]
    preferences.remember(author, last=ALL, favourite_presets=presets)
    for number in range(10):
        preferences.add_favourite(author, str(number), ALL)
    with django_assert_max_num_queries(7):  # five of them tell who asks and what they may
        assert len(client.get(url("preferences")).json()["favourite_presets"]) == 10
