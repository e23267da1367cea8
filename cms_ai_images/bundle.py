"""The dialog's modules and style sheets as one file each, without comments: what a browser fetches at the first click.

The sources stay plain ES modules that need no build step. Putting them together is simple because they are ours: named
imports and exports at the beginning of a line, no cycles, no template of several lines. Whatever else is found in them
is refused, so a module that cannot be put together is noticed by the first test that opens the dialog.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static" / "cms_ai_images"
ENTRY = "place"
PARTS = ("fields", "choices", "pictures", "viewer", "review", "history")
STYLES = ("dialog", *(f"dialog-{part}" for part in PARTS))

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)
LEFT = re.compile(r"^(?:import|export)\b.*|\bimport\(.*", re.MULTILINE)
COMMENT = re.compile(r"^[ \t]*(?:/\*.*?\*/|//[^\n]*)[ \t]*\n", re.MULTILINE | re.DOTALL)
REMARK = re.compile(r"(?<=[;,{}()\[\]])[ \t]+// [^\n\"'`]*$", re.MULTILINE)
"""A comment behind code. One with a quotation mark may be a part of a string, so it is left alone."""
INDENT = re.compile(r"^\s+", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file to serve: as it is, compressed, and the tag that changes with it."""

    content_type: str
    data: bytes
    gzipped: bytes
    etag: str


def script() -> Asset:
    """The element and everything that it imports. Made anew when a source has changed."""
    return _script(_changed("*.js"))


def style() -> Asset:
    """All style sheets of the dialog, in order."""
    return _style(_changed("*.css"))


def combine(entry: str, folder: Path = FOLDER) -> str:
    """One module that exports what the module `entry` exports. Raises `ValueError` for what cannot be put together."""
    done: dict[str, str] = {}
    names = _add(entry, folder, done, ())
    return "".join(done.values()) + f"export const {{ {', '.join(names)} }} = ${entry};\n"


def _add(module: str, folder: Path, done: dict[str, str], path: tuple[str, ...]) -> list[str]:
    """Put a module behind those that it imports, in a scope of its own. Returns the names that it exports."""
    if module in path:
        raise ValueError(f"Modules import each other: {' -> '.join((*path, module))}.")
    source = COMMENT.sub("", (folder / f"{module}.js").read_text())
    names = EXPORT.findall(source)
    if module in done:
        return names
    for _names, other in IMPORT.findall(source):
        _add(other, folder, done, (*path, module))
    body = IMPORT.sub(lambda found: f"const {{{found[1].replace(' as ', ': ')}}} = ${found[2]};\n", source)
    body = EXPORT.sub("", body)
    left = LEFT.search(body)
    if refused := left[0] if left else next((line for line in body.splitlines() if line.count("`") % 2), None):
        raise ValueError(f"{module}.js cannot be put into a bundle: {refused}")
    body = INDENT.sub("", REMARK.sub("", body))
    done[module] = f"const ${module} = (() => {{\n{body}return {{ {', '.join(names)} }};\n}})();\n"
    return names


@lru_cache(maxsize=1)
def _script(changed: float) -> Asset:
    return _asset("text/javascript", combine(ENTRY))


@lru_cache(maxsize=1)
def _style(changed: float) -> Asset:
    sources = [COMMENT.sub("", (FOLDER / f"{name}.css").read_text()) for name in STYLES]
    return _asset("text/css", INDENT.sub("", "".join(sources)))


def _asset(content_type: str, text: str) -> Asset:
    data = text.encode()
    # A weak tag: the compressed file is the same one.
    etag = f'W/"{hashlib.sha256(data).hexdigest()[:20]}"'
    return Asset(content_type=content_type, data=data, gzipped=gzip.compress(data, mtime=0), etag=etag)


def _changed(pattern: str) -> float:
    """When a source was last written."""
    return max(path.stat().st_mtime for path in FOLDER.glob(pattern))
