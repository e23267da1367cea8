"""The dialog's code and look as one file each."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from cms_ai_images import bundle

SCRIPT, STYLE = reverse("cms_ai_images:dialog-code"), reverse("cms_ai_images:dialog-style")


def write(folder: Path, **modules: str) -> None:
    for name, source in modules.items():
        (folder / f"{name}.js").write_text(source)


def test_modules_are_put_together_in_order_each_in_a_scope_of_its_own(tmp_path: Path) -> None:
    write(
        tmp_path,
        main='/** Doc. */\nimport {\n  add,\n  ONE as UNIT,\n} from "./sums.js";\nimport { hi } from "./words.js";\n'
        "// why\nexport class Main {}\nexport const run = () => add(UNIT, hi); // no\nconst PAUSE = 1; // it's kept\n",
        sums='export const ONE = 1;\nexport async function add(a, b) {\n  return a;\n}\nconst PAUSE = "import x";\n',
        words='import { ONE } from "./sums.js";\n\nexport function hi() {\n  return `// ${ONE} /* text */`;\n}\n',
    )
    assert bundle.combine("main", tmp_path) == (
        'const $sums = (() => {\nconst ONE = 1;\nasync function add(a, b) {\nreturn a;\n}\nconst PAUSE = "import x";\n'
        "return { ONE, add };\n})();\n"
        "const $words = (() => {\nconst { ONE } = $sums;\nfunction hi() {\nreturn `// ${ONE} /* text */`;\n}\n"
        "return { hi };\n})();\n"
        "const $main = (() => {\nconst {\nadd,\nONE: UNIT,\n} = $sums;\nconst { hi } = $words;\n"
        "class Main {}\nconst run = () => add(UNIT, hi);\nconst PAUSE = 1; // it's kept\nreturn { Main, run };\n})();\n"
        "export const { Main, run } = $main;\n"
    )


@pytest.mark.parametrize(
    "source",
    [
        'import "./sums.js";\n',
        'import sums from "./sums.js";\n',
        'import * as sums from "./sums.js";\n',
        'export { ONE } from "./sums.js";\n',
        "export default class {}\n",
        'const sums = await import("./sums.js");\n',
        'import { a } from "https://elsewhere.example/sums.js";\n',
        "const lines = `one; // two\n`;\n",
    ],
)
def test_what_cannot_be_put_together_is_refused(tmp_path: Path, source: str) -> None:
    write(tmp_path, main=source, sums="export const ONE = 1;\n")
    with pytest.raises(ValueError, match=r"main\.js cannot be put into a bundle"):
        bundle.combine("main", tmp_path)


def test_modules_that_import_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path, a='import { b } from "./b.js";\nexport const a = 1;\n', b='import { a } from "./a.js";\n')
    with pytest.raises(ValueError, match="a -> b -> a"):
        bundle.combine("a", tmp_path)


def test_a_module_that_two_others_import_is_there_once() -> None:
    code = bundle.script().data.decode()
    assert code.count("const $dom = ") == 1
    assert re.findall(r"^(?:import|export)\b.*", code, re.MULTILINE) == ["export const { Place } = $place;"]
    assert not re.search(r"^\s*(//|/\*)", code, re.MULTILINE)


def test_no_string_reaches_over_lines_where_comments_and_indents_are_dropped() -> None:
    for path in bundle.FOLDER.glob("*.js"):
        assert [line for line in path.read_text().splitlines() if line.count("`") % 2] == [], path.name


def test_every_style_sheet_of_the_dialog_is_in_it() -> None:
    assert {path.stem for path in bundle.FOLDER.glob("dialog*.css")} == set(bundle.STYLES)
    assert ":host" in bundle.style().data.decode()


@pytest.mark.parametrize(("address", "content_type"), [(SCRIPT, "text/javascript"), (STYLE, "text/css")])
def test_it_is_served_to_everybody_compressed_and_once(address: str, content_type: str) -> None:
    client = Client()
    plain = client.get(address)
    assert (plain.status_code, plain["Content-Type"], plain["Cache-Control"]) == (200, content_type, "no-cache")
    small = client.get(address, headers={"Accept-Encoding": "gzip, br"})
    assert gzip.decompress(small.content) == plain.content
    assert len(small.content) < len(plain.content) / 2
    assert "Accept-Encoding" in small["Vary"]
    again = client.get(address, headers={"Accept-Encoding": "gzip", "If-None-Match": small["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.post(address).status_code == 405


def test_a_changed_source_changes_what_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in bundle.STYLES:
        (tmp_path / f"{name}.css").write_text("p {}\n")
    monkeypatch.setattr(bundle, "FOLDER", tmp_path)
    before = bundle.style().etag
    (tmp_path / "dialog.css").write_text("b {}\n")
    os.utime(tmp_path / "dialog.css", (2e9, 2e9))
    assert bundle.style().etag != before
