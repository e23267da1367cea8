"""docs/api.md tells every address, and the scope that it needs."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings
from django.urls import get_resolver

from cms_ai_images.api.events import task_events
from cms_ai_images.api.schema import schema
from cms_ai_images.models.tokens import Scope

PAGE = Path(settings.BASE_DIR) / "docs/api.md"


def test_every_address_is_told_with_its_scope() -> None:
    told = re.findall(r"^\| `([A-Z]+)` \| `([^`]+)` \| `(\w+)` \| .+\. \|$", PAGE.read_text(), re.MULTILINE)
    views = {
        "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern)): pattern.callback
        for pattern in get_resolver("cms_ai_images.api.urls").url_patterns
    }
    expected = set()
    for path, operations in schema()["paths"].items():
        for method in operations:
            view = views[path]
            is_read = method == "get"
            scope = Scope.READ if is_read or view is task_events else view.cls.write_scope
            expected.add((method.upper(), path.removeprefix("/"), scope.value))
    assert set(told) == expected
    assert len(told) == len(expected)


def test_every_scope_is_told() -> None:
    table = PAGE.read_text().split("| Scope | Lets a token |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(Scope.values)
