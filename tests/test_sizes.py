"""What the browser has to fetch: next to nothing before the first click, little after it."""

from __future__ import annotations

import gzip
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import reverse


class HashedModules(ManifestStaticFilesStorage):
    support_js_module_import_aggregation = True


LOADER_KB, DIALOG_KB = 6, 40
ADAPTERS = ["cms_ai_images/contrib/djangocms_text.js", "cms_ai_images/contrib/filer_field.js"]
STATIC_IMPORT = re.compile(r'^\s*(?:import|export)\b[^;]*?from\s+"(\.[^"]+)"', re.MULTILINE)
DYNAMIC_IMPORT = re.compile(r'\bimport\(\s*"(\.[^"]+)"\s*\)')


def read(path: str) -> str:
    found = finders.find(path)
    assert found, f"There is no {path}."
    return Path(str(found)).read_text()


def modules(path: str) -> set[str]:
    """A module and everything that it loads with itself, as paths below `static/`."""
    known: set[str] = set()
    new = {path}
    while new:
        known |= new
        new = {join(module, name) for module in new for name in STATIC_IMPORT.findall(read(module))} - known
    return known


def join(module: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(module), name))


def kilobytes(paths: set[str], *texts: bytes) -> float:
    """Compressed one by one, as a server does it."""
    return sum(len(gzip.compress(data)) for data in [*(read(path).encode() for path in paths), *texts]) / 1024


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_page_fetches_next_to_nothing_before_the_first_click(adapter: str) -> None:
    loader = modules(adapter)
    assert {"cms_ai_images/badge.js", "cms_ai_images/dialog.js"} <= loader
    assert "cms_ai_images/element.js" not in loader
    size = kilobytes(loader)
    assert 1 < size < LOADER_KB


@pytest.mark.django_db
def test_the_dialog_is_small(client: Client, author: User, record_property: Callable[[str, object], None]) -> None:
    client.force_login(author)
    sizes = {"markup": len(gzip.compress(client.get(reverse("cms_ai_images:dialog")).content)) / 1024}
    for name in ("dialog-code", "dialog-style"):
        answer = client.get(reverse(f"cms_ai_images:{name}"), headers={"Accept-Encoding": "gzip"})
        assert answer["Content-Encoding"] == "gzip"
        sizes[name] = len(answer.content) / 1024
    record_property("sizes", sizes)
    assert 10 < sum(sizes.values()) < DIALOG_KB, sizes


def test_modules_find_each_other_under_hashed_names(tmp_path: Path) -> None:
    """As a site serves them whose static files have their content's hash in their names."""
    storages = {**settings.STORAGES, "staticfiles": {"BACKEND": f"{__name__}.HashedModules"}}
    others = ["admin", "djangocms_text", "easy_thumbnails", "filer", "rest_framework", "site"]
    with override_settings(STATIC_ROOT=str(tmp_path), STORAGES=storages):
        call_command("collectstatic", verbosity=0, interactive=False, ignore_patterns=others)
    hashed = [path for path in tmp_path.glob("cms_ai_images/**/*.js") if re.search(r"\.[0-9a-f]{12}\.js$", path.name)]
    assert len(hashed) > 10
    for path in hashed:
        code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)  # Django 6.1 leaves comments as they are
        for name in STATIC_IMPORT.findall(code) + DYNAMIC_IMPORT.findall(code):
            assert re.search(r"\.[0-9a-f]{12}\.js$", name), f"{path.name} imports {name}"
            assert path.parent.joinpath(name).exists()
