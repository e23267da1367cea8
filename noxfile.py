"""The matrix: `make test-all`, or one of it as `.venv/bin/nox -s "web(6.0)"`; `nox --list` names them.

nox rather than tox, because its sessions are Python and may ask what is installed. A Python that this machine lacks
is left out, with a word about it. `make test` is the rest: everything, with torch, on one Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import nox

MATRIX = [("3.11", "5.2"), ("3.12", "6.0"), ("3.13", "6.1")]
"""Python and the Django that goes with it."""

nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True
nox.options.stop_on_first_error = False
nox.options.download_python = "never"

if shutil.which("pyenv"):  # its commands answer only for the versions that are chosen
    versions = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=True)  # noqa: S607
    os.environ["PYENV_VERSION"] = ":".join(versions.stdout.split())


def matrix(*ci: str):
    """A session for each pair, named `function(DJANGO)`. Those of the Djangos in `ci` run there, too."""
    pairs = [nox.param(python, django, id=django, tags=["ci"] if django in ci else []) for python, django in MATRIX]
    return lambda function: nox.session(nox.parametrize("python,django", pairs)(function))


def install(session: nox.Session, django: str, *packages: str) -> None:
    """The package as a site installs it, without torch, and the tests."""
    session.install("-c", "constraints.txt", f"Django~={django}.0", *packages)


def pytest(session: nox.Session, *arguments: str, **environment: str) -> None:
    """On all cores. What the session's command line adds comes last."""
    cores = ("--numprocesses", "auto", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder")
    session.run("python", "-m", "pytest", *cores, *arguments, *session.posargs, env=environment)


@matrix("6.0", "6.1")
def web(session: nox.Session, django: str) -> None:
    """The web side on SQLite and folders, without django CMS and without torch."""
    install(session, django, "-e", ".[test-web]")
    pytest(session, "-m", "not browser")


@matrix()
def cms(session: nox.Session, django: str) -> None:
    """django CMS: the plugin, and the walks in a browser with and without versioning."""
    cms_tests(session, django)


@nox.session(python="3.11")
@nox.parametrize("with_cms", [False, True], ids=["plain", "cms"])
def services(session: nox.Session, with_cms: bool) -> None:
    """PostgreSQL and S3 in place of SQLite and folders, up to the author's walk in a browser."""
    environment = {"TEST_DATABASE": "postgresql", "TEST_STORAGE": "s3"}
    if with_cms:
        cms_tests(session, "5.2", **environment)
        return
    install(session, "5.2", "-e", ".[test-web]")
    pytest(session, "-m", "not browser and not local_files", **environment)
    if has_chromium(session):
        pytest(session, "tests/browser/test_article.py", **environment)


def cms_tests(session: nox.Session, django: str, **environment: str) -> None:
    """The plugin, and where there is a browser its walks."""
    install(session, django, "-e", ".[cms,test-web]", "djangocms-versioning>=2.4")
    walks = ["tests/browser/test_cms.py"] if has_chromium(session) else []
    pytest(session, "tests/test_contrib_djangocms_plugin.py", *walks, TEST_CMS="1", **environment)


def has_chromium(session: nox.Session) -> bool:
    """Whether there is a browser to walk with; `.ci/chromium` installs one. The session says where there is none."""
    found = any(map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")))
    if not found:
        session.warn("There is no Chromium: the walks in a browser are left out.")
    return found
