"""What is shipped: the wheel, its requirements, its static files."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, PathDistribution, distribution
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(settings.BASE_DIR)
STACK = {"torch", "diffusers", "transformers", "accelerate", "safetensors", "onnxruntime"}
EDITORS = {"django-cms", "djangocms-text"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `pip install .` builds it, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.iterdir()
    return built


def test_the_wheel_holds_the_package_all_of_it_and_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    shipped = {name for name in names if ".dist-info/" not in name}
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "cms_ai_images").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == package
    assert {
        "cms_ai_images/py.typed",
        "cms_ai_images/migrations/0001_initial.py",
        "cms_ai_images/templates/cms_ai_images/dialog/dialog.html",
        "cms_ai_images/static/cms_ai_images/dialog.js",
        "cms_ai_images/contrib/djangocms_text/static/cms_ai_images/contrib/djangocms_text.js",
    } <= shipped
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def requirements(installed: Distribution, extras: frozenset[str]) -> list[Requirement]:
    """What a distribution with these extras asks for on this machine."""
    every = [Requirement(text) for text in installed.requires or []]
    return [
        requirement
        for requirement in every
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras | {""})
    ]


def closure(package: Distribution, *extras: str) -> set[str]:
    """Everything that comes along with a package, as far as it is installed here."""
    found: set[tuple[str, frozenset[str]]] = set()
    todo = requirements(package, frozenset(extras))
    while todo:
        requirement = todo.pop()
        item = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if item in found:
            continue
        found.add(item)
        try:
            todo += requirements(distribution(item[0]), item[1])
        except PackageNotFoundError:
            continue  # an optional part that nobody asked for here
    return {name for name, _ in found}


def test_the_bare_install_is_the_web_side(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (path for path in zipfile.Path(archive).iterdir() if path.name.endswith(".dist-info"))
        package = PathDistribution(metadata)
        web, worker = closure(package), closure(package, "worker")
    assert {"django", "django-filer", "rq", "redis", "asgiref"} <= web
    assert web & (STACK | EDITORS) == set()
    assert STACK - {"onnxruntime"} <= worker


def test_every_static_file_refers_to_files_that_exist(tmp_path: Path, settings):
    """As a site with hashed file names needs it."""
    backend = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", interactive=False, verbosity=0)
    assert list(tmp_path.glob("cms_ai_images/dialog.*.js"))


def test_what_is_shipped_refers_to_nothing_outside():
    """No CDN, no web font, no tracker: a strict policy holds, and nothing leaves the site."""
    found = [
        (path.relative_to(ROOT).as_posix(), address)
        for folder in (ROOT / "cms_ai_images", ROOT / "static", ROOT / "templates")
        for path in folder.rglob("*")
        if path.suffix in {".js", ".css", ".html", ".svg"}
        for address in re.findall(r"""(?:https?:)?//[\w-]+\.[\w.-]+""", path.read_text())
        if "www.w3.org" not in address
    ]
    assert found == []
    assert finders.find("cms_ai_images/dialog.js")


def test_the_changelog_knows_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^## \[?{re.escape(version)}\]?", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
