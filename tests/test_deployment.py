"""The deployment page's settings make a site that passes Django's own checks for production."""

from __future__ import annotations

import json
import subprocess
import sys
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


def run(site: Path, *arguments: str) -> str:
    environment = {"PYTHONPATH": f"{settings.BASE_DIR}", "DJANGO_SETTINGS_MODULE": "mysite.settings", **ENVIRONMENT}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=site, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
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
