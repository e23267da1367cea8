"""The reference pages say what the code does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings

from cms_ai_images import conf

ROOT = Path(settings.BASE_DIR)


def rows(page: str) -> dict[str, list[str]]:
    """The tables of a page: the other cells by the code in the first one."""
    found = re.findall(r"^\| `([^`]+)` \| (.*) \|$", (ROOT / "docs" / page).read_text(), re.MULTILINE)
    assert len(found) == len(dict(found)), "something is documented twice"
    return {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in found}


def test_every_setting_is_documented_with_its_default():
    documented = {name: cells for name, cells in rows("settings.md").items() if "." not in name}
    assert set(documented) == set(conf.DEFAULTS)
    for name, (default, meaning) in documented.items():
        if name == "BACKENDS":
            assert re.findall(r"`(\w+)`", default) == sorted(conf.DEFAULTS[name])
        else:
            assert ast.literal_eval(default.strip("`")) == conf.DEFAULTS[name], name
        assert meaning.endswith(".")


def test_every_check_is_documented():
    documented = {name for name in rows("settings.md") if "." in name}
    source = "\n".join(path.read_text() for path in (ROOT / "cms_ai_images").rglob("*.py"))
    assert documented == set(re.findall(r'id="(cms_ai_images\.[EWI]\d+)"', source))


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path):
    assert [link for link in links_of(page) if not (page.parent / link).exists()] == []


def test_every_page_is_found_from_the_readme():
    found = {ROOT / "README.md"}
    while (
        more := {(page.parent / link).resolve() for page in found for link in links_of(page) if ".md" in link} - found
    ):
        found |= more
    assert set((ROOT / "docs").glob("*.md")) - found == set()


def links_of(page: Path) -> list[str]:
    """The files that a page leads to."""
    return re.findall(r"\]\((?!http)([^)#]+)", page.read_text())
