"""The examples of docs/api-clients.md, run as they stand: only the site's address is put in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from PIL import Image

from cms_ai_images.api.openai.errors import CODES
from cms_ai_images.api.openai.shapes import ImagesSerializer

from .live import SECRET, LiveSite, live_site

PAGE = (Path(settings.BASE_DIR) / "docs" / "api-clients.md").read_text()
SECONDS = 120
"""For a whole example, on a busy machine."""


def example(name: str) -> str:
    """The block of the page that has this name."""
    found = re.findall(rf"<!-- client: {name} -->\n```\w+\n(.*?)\n```", PAGE, re.DOTALL)
    assert len(found) == 1, name
    return found[0]


def test_every_example_is_run() -> None:
    named = re.findall(r"<!-- client: (\w+) -->\n```(\w+)", PAGE)
    assert named == [
        ("bash", "bash"),
        ("python", "python"),
        ("javascript", "javascript"),
        ("page", "javascript"),
        ("openai", "python"),
        ("webhook", "python"),
    ]
    assert len(re.findall(r"^```(?:bash|python|javascript)$", PAGE, re.MULTILINE)) == len(named)


@pytest.fixture(scope="module")
def site() -> Iterator[LiveSite]:
    with live_site() as site:
        yield site


class Program:
    """An example in a folder of its own, as somebody would start it."""

    def __init__(self, site: LiveSite, folder: Path) -> None:
        self.site = site
        self.folder = folder

    def start(self, *command: str, name: str, **replaced: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end; `replaced` is changed in it, to see what it does then."""
        process = self.popen(*command, name=name, **replaced)
        output, errors = process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    def popen(self, *command: str, name: str, **replaced: str) -> subprocess.Popen[str]:
        """Start it, with a token."""
        code = example(name).replace("https://cms.example.org", self.site.url)
        for old, new in replaced.items():
            assert old in code, old
            code = code.replace(old, new)
        path = self.folder / (f"{name}.mjs" if name == "javascript" else name)
        path.write_text(code)
        return subprocess.Popen(
            [*command, str(path)],
            cwd=self.folder,
            env={**os.environ, "AI_IMAGES_TOKEN": self.site.token()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def pictures(self) -> list[tuple[str, str]]:
        """(file name, format) of what it has stored."""
        return [(path.name, str(Image.open(path).format)) for path in sorted(self.folder.glob("*.png"))]


@pytest.fixture
def program(site: LiveSite, tmp_path: Path) -> Program:
    return Program(site, tmp_path)


FOXES = [("fox-0.png", "PNG"), ("fox-1.png", "PNG")]
WITHOUT_EVENTS = {"bash": "$(jq --raw-output .events_url", "python": 'SITE + task["events_url"]'}
NO_EVENTS = {"bash": "/gone/$(jq --raw-output .events_url", "python": '"http://127.0.0.1:9"'}
COMMANDS = {"bash": ["bash"], "python": [sys.executable], "javascript": ["node"]}
LANGUAGES = [
    pytest.param(name, marks=pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not installed"))
    if name == "javascript"
    else name
    for name in COMMANDS
]


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_client_submits_follows_and_downloads(program: Program, name: str) -> None:
    done = program.start(*COMMANDS[name], name=name)
    assert (done.returncode, done.stderr) == (0, "")
    assert "succeeded" in done.stdout
    if name == "javascript":
        assert re.findall(r"picture (\d): \d{3,} bytes", done.stdout) == ["0", "1"]
    else:
        assert program.pictures() == FOXES


@pytest.mark.parametrize("name", sorted(WITHOUT_EVENTS))
def test_a_client_does_without_events(program: Program, name: str) -> None:
    done = program.start(*COMMANDS[name], name=name, **{WITHOUT_EVENTS[name]: NO_EVENTS[name]})
    assert done.returncode == 0, done.stderr
    assert program.pictures() == FOXES


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_client_says_what_is_wrong(program: Program, name: str) -> None:
    done = program.start(*COMMANDS[name], name=name, **{"a red fox reading in a library": " "})
    assert done.returncode != 0
    assert "prompt_empty: Describe the picture first." in done.stderr
    assert program.pictures() == []


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_client_says_why_a_task_has_failed(program: Program, name: str) -> None:
    key = {"bash": '"num_images": 2', "python": '"num_images": 2', "javascript": "num_images: 2"}[name]
    done = program.start(*COMMANDS[name], name=name, **{key: f'{key}, "model": "broken"'})
    assert done.returncode != 0
    assert "model_files_missing" in done.stderr
    assert program.pictures() == []


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_client_waits_for_a_site_that_is_restarted(program: Program, name: str) -> None:
    site = program.site
    site.stop_web()
    try:
        process = program.popen(*COMMANDS[name], name=name)
    finally:
        site.start_web()
    out, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, "succeeded" in out) == (0, True), errors


def test_the_clients_of_another_api(program: Program) -> None:
    done = program.start(sys.executable, name="openai")
    assert (done.returncode, done.stderr) == (0, "")
    assert program.pictures() == FOXES


def test_a_webhook_is_believed_once_it_is_checked(site: LiveSite, monkeypatch: Any, capsys: Any) -> None:
    task = site.python(
        "from django.contrib.auth.models import User\n"
        "from cms_ai_images import services\n"
        "from cms_ai_images.types import GenerationRequest\n"
        "editor = User.objects.get(username='editor')\n"
        "print(json.dumps(str(services.request_generation(editor, GenerationRequest(prompt='a fox')).uuid)))"
    )
    while task.encode() not in (message := site.receiver.wait(SECONDS)).body:
        pass  # those of the other tests
    monkeypatch.setenv("AI_IMAGES_WEBHOOK_SECRET", SECRET)
    receiver: dict[str, Any] = {}
    exec(example("webhook"), receiver)  # noqa: S102
    assert receiver["receive"](message.body, message.headers) == 204
    assert receiver["receive"](message.body, message.headers) == 204
    assert capsys.readouterr().out == f"task.succeeded /ai-images/api/v1/tasks/{task}/\n"
    assert receiver["receive"](message.body.replace(b"succeeded", b"failed"), message.headers) == 400


class TestInABrowser:
    """A module as a page of the site would run it. The browser ends with each test: Django needs the thread."""

    @pytest.fixture
    def page(self, site: LiveSite) -> Iterator[Any]:
        from playwright.sync_api import sync_playwright

        from .browser.conftest import ARGUMENTS, CHROMIUM

        executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
        assert executable, "This needs a Chromium: apt-get install chromium-headless-shell"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
            page = browser.new_page(base_url=site.url, storage_state=site.log_in("editor", browser))
            page.set_default_timeout(1000 * SECONDS)
            page.goto("/admin/")
            yield page
            browser.close()

    def test_with_a_token(self, site: LiveSite, page: Any) -> None:
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        code = example("javascript").replace("https://cms.example.org", site.url).replace("aii_...", site.token())
        page.evaluate(f"async () => {{ {code} }}")
        assert told[-3] == "succeeded"
        assert [line.split(":")[0] for line in told[-2:]] == ["picture 0", "picture 1"]

    def test_with_the_session(self, page: Any) -> None:
        page.evaluate(f"async () => {{ {example('page')} }}")
        assert page.locator("body > img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_every_input_and_code_of_the_other_api_is_told() -> None:
    section = PAGE.partition("## Clients of the OpenAI images API")[2].partition("## Webhooks")[0]
    table = section.partition("| They say")[2].partition("everything else")[0]
    first_cells = " ".join(re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", first_cells)) == set(ImagesSerializer().fields)
    assert set(CODES.values()) <= set(re.findall(r"\| `(\w+)` \|", section))
