"""The README's lines for an existing site do what they say, in a site that `startproject` made."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

README = Path(settings.BASE_DIR, "README.md")


def block(name: str, page: Path = README) -> str:
    """The Python code after this marker."""
    found = re.search(rf"<!-- {name} -->\n```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A fresh project with the README's lines added."""
    subprocess.run([sys.executable, "-m", "django", "startproject", "mysite", str(tmp_path)], check=True)
    with (tmp_path / "mysite/settings.py").open("a") as file:
        file.write(block("site-settings"))
    urls = tmp_path / "mysite/urls.py"
    urls.write_text(urls.read_text().replace("import path", "import include, path") + block("site-urls"))
    return tmp_path


def test_an_existing_site_passes_its_checks_and_migrates(site: Path):
    environment = {"PATH": "", "PYTHONPATH": f"{settings.BASE_DIR}", "PYTHONDONTWRITEBYTECODE": "1"}

    def manage(*arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert "no issues" in manage("check")
    manage("migrate", "-v0")
    assert "No changes" in manage("makemigrations", "--check", "--dry-run")


def test_every_linked_page_exists():
    links = re.findall(r"\]\((?!http)([^)#]+)", README.read_text())
    assert links
    missing = [link for link in links if not (README.parent / link).exists()]
    assert missing == []
