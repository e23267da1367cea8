"""The deployment page's settings make a site that passes Django's own checks for production."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings

from .test_readme import block

PAGE = Path(settings.BASE_DIR, "docs/deployment.md")

ENVIRONMENT = {
    "SECRET_KEY": "a key of more than fifty characters, many of which differ: 0123456789",
    "ALLOWED_HOSTS": "www.example.org,example.org",
    "POSTGRES_HOST": "db.example.org",
    "POSTGRES_DB": "mysite",
    "POSTGRES_USER": "mysite",
    "POSTGRES_PASSWORD": "secret",
    "REDIS_URL": "rediss://:secret@redis.example.org:6380/0",
    "S3_ACCESS_KEY": "key",
    "S3_SECRET_KEY": "secret",
    "S3_LIBRARY_BUCKET": "library",
    "S3_LIBRARY_DOMAIN": "pictures.example.org",
    "S3_DRAFTS_BUCKET": "drafts",
}

LOOK = """
import json, django
django.setup()
from cms_ai_images.connections import get_redis
from cms_ai_images.library.intake import public_storage
from cms_ai_images.storage import draft_storage
from filer.models import Image
public, draft = public_storage(), draft_storage()
print(json.dumps({
    "buckets": [public.bucket_name, draft.bucket_name],
    "signed": [public.querystring_auth, draft.querystring_auth],
    "url": public.url("a/b.png"),
    "redis": type(get_redis("images").connection_pool.make_connection()).__name__,
}))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A fresh project with the lines of the README and, below them, those of the page."""
    subprocess.run([sys.executable, "-m", "django", "startproject", "mysite", str(tmp_path)], check=True)
    with (tmp_path / "mysite/settings.py").open("a") as file:
        file.write(block("site-settings") + block("production-settings", PAGE))
        # What startproject writes since Django 6.1; nothing of ours sends mail.
        file.write('SILENCED_SYSTEM_CHECKS = ["mail.E001"]\n')
    urls = tmp_path / "mysite/urls.py"
    urls.write_text(urls.read_text().replace("import path", "import include, path") + block("site-urls"))
    return tmp_path


def run(site: Path, *arguments: str, status: int = 0) -> str:
    environment = {"PYTHONPATH": f"{settings.BASE_DIR}", "DJANGO_SETTINGS_MODULE": "mysite.settings", **ENVIRONMENT}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=site, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def test_the_settings_pass_the_checks_for_production(site: Path) -> None:
    assert "no issues" in run(site, "manage.py", "check", "--deploy", "--fail-level", "WARNING")


def test_they_reach_the_storages_and_redis(site: Path) -> None:
    seen = json.loads(run(site, "-c", LOOK))
    assert seen == {
        "buckets": ["library", "drafts"],
        "signed": [False, True],
        "url": "https://pictures.example.org/a/b.png",
        "redis": "SSLConnection",
    }


def test_without_a_secret_it_does_not_start(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ENVIRONMENT, "SECRET_KEY")
    with pytest.raises(AssertionError, match="SECRET_KEY"):
        run(site, "manage.py", "check")


APPLICATION = """
import asyncio

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("not needed")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"still here", "more_body": True})
        await asyncio.sleep(0.1)
"""
DOCKERS_PATIENCE = 10
"""Seconds from SIGTERM to SIGKILL."""


def test_the_composed_site_starts_after_a_kill_and_ends_in_time(tmp_path: Path) -> None:
    """Over a socket that a killed one left behind, and with a stream open that would never end."""
    web = PAGE.read_text().partition("\n  web:\n")[2]
    folded = re.findall(r"command: >-\n((?: {6}.*\n)+)", web)[0]
    command = " ".join(folded.split()).replace("/run/mysite", str(tmp_path))
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite/asgi.py").write_text(APPLICATION)
    address = tmp_path / "site.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(address))
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with subprocess.Popen(shlex.split(command), cwd=tmp_path, env=environment, start_new_session=True) as site:
        try:
            with opened(address, site) as stream:
                stream.sendall(b"GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
                assert b"200 OK" in stream.recv(1000)
                site.terminate()
                site.wait(DOCKERS_PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(site.pid, signal.SIGKILL)  # whoever still lives
    assert not address.exists()


def opened(address: Path, site: subprocess.Popen[bytes]) -> socket.socket:
    """A connection to the site, as soon as it listens there."""
    until = time.monotonic() + 60
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        try:
            connection.connect(str(address))
        except OSError:
            connection.close()
            assert site.poll() is None and time.monotonic() < until, "nobody listens"
            time.sleep(0.1)
        else:
            return connection


@pytest.mark.parametrize(
    ("line", "said", "mend"),
    [
        ('CMS_AI_IMAGES = {"LIBRARY_FODLER": "Pictures"}', "LIBRARY_FODLER", "docs/settings.md"),
        ('del STORAGES["ai_images_drafts"]', "ai_images_drafts", "private storage"),
    ],
)
def test_the_doctor_names_a_mistake_in_the_settings(
    site: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str, mend: str
) -> None:
    """Of which none may keep the app from being loaded, or nobody would be told."""
    monkeypatch.setitem(ENVIRONMENT, "POSTGRES_HOST", "127.0.0.1")
    monkeypatch.setitem(ENVIRONMENT, "POSTGRES_PORT", "9")
    with (site / "mysite/settings.py").open("a") as file:
        file.write(f"{line}\n")
    database, mistake = json.loads(run(site, "manage.py", "ai_images_doctor", "--json", status=1))
    assert (database["part"], database["level"]) == ("database", "error")
    assert (mistake["part"], mistake["level"]) == ("settings", "error")
    assert said in mistake["detail"]
    assert mend in mistake["mend"]
