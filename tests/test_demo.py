"""The example site's contents, what its command refuses, and its whole life as real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from PIL import Image

from cms_ai_images.models import GenerationModel, StylePreset, StylePresetVersion
from project.articles.models import Article
from project.demo import preflight
from project.demo.seeds import seed
from project.demo.thumbnails import SIZE

from .services import manage

SERVING = "Ctrl-C stops everything."
START_SECONDS = 180


# -- Contents ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_seeding_twice_makes_nothing_twice_and_keeps_what_was_changed():
    seed(Path("/models/first"))
    StylePreset.objects.filter(slug="photo").update(name="Press photo")
    Article.objects.filter(slug="a-lighthouse-learns-to-keep-quiet").delete()
    Group.objects.get(name="Editor").permissions.clear()
    User.objects.get(username="editor").set_password("changed")
    GenerationModel.objects.update(label="Ours")
    tables = (User, Group, StylePreset, StylePresetVersion, Article, GenerationModel)
    before = [table.objects.count() for table in tables]

    seed(Path("/models/second"))

    assert [table.objects.count() for table in tables] == before == [4, 3, 6, 6, 2, 1]
    assert StylePreset.objects.get(slug="photo").name == "Press photo"
    assert Group.objects.get(name="Editor").permissions.count() == 0
    model = GenerationModel.objects.get()
    assert (model.label, model.source) == ("Ours", "/models/second")


@pytest.mark.django_db
def test_the_seeded_rows_pass_their_own_validation():
    seed(Path("/models/demo"))
    for row in [*GenerationModel.objects.all(), *StylePreset.objects.all(), *Article.objects.all()]:
        row.full_clean()
    for preset in StylePreset.objects.all():
        assert preset.published
        with preset.thumbnail.file.open() as file, Image.open(file) as picture:
            assert picture.size == SIZE
    prompts = {preset.slug: preset.current_version.apply("a fox") for preset in StylePreset.objects.all()}
    assert prompts["watercolour"] == "a watercolor painting of a fox"


@pytest.mark.django_db
def test_each_person_may_do_their_work_and_no_more():
    seed(Path("/models/demo"))
    editor, designer, manager = (User.objects.get(username=name) for name in ("editor", "designer", "manager"))
    assert editor.has_perms(["cms_ai_images.generate", "articles.change_article", "filer.can_use_directory_listing"])
    assert not editor.has_perm("cms_ai_images.manage_presets")
    assert designer.has_perms(["cms_ai_images.generate", "cms_ai_images.manage_presets", "cms_ai_images.approve"])
    for permission in ("cms_ai_images.view_all_tasks", "cms_ai_images.manage_models", "cms_ai_images.manage_credits"):
        assert [user.has_perm(permission) for user in (editor, designer, manager)] == [False, False, True]


# -- Refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org", ""])  # noqa: S104
def test_nothing_but_loopback_is_served(host: str):
    with pytest.raises(CommandError, match="loopback only"):
        call_command("ai_images_demo", host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_is_served(host: str):
    preflight.refuse_public_address(host)


def test_a_taken_port_is_named_with_a_free_one():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(CommandError, match=rf"Port {port} cannot be used .* PORT=\d+"):
            preflight.refuse_taken_port("127.0.0.1", port)
    preflight.refuse_taken_port("127.0.0.1", port)


def test_a_folder_whose_socket_could_not_be_opened_is_refused(tmp_path: Path):
    preflight.refuse_long_path(tmp_path / "valkey.sock")
    with pytest.raises(CommandError, match="too long"):
        preflight.refuse_long_path(tmp_path / ("x" * 100) / "valkey.sock")


# -- The whole life ----------------------------------------------------------------------------------------------------


class Demo:
    """`manage.py ai_images_demo` on a folder and a port of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        mine = ("AI_IMAGES_VAR", "AI_IMAGES_TEST_VAR", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
        self.environment = {name: value for name, value in os.environ.items() if name not in mine}
        self.environment["AI_IMAGES_VAR"] = str(folder)
        self.folder = folder
        self.output = folder / "output.txt"

    def start(self, *options: str) -> psutil.Popen:
        with self.output.open("w") as output:
            command = manage("ai_images_demo", "--port", str(self.port), *options)
            return psutil.Popen(command, stdout=output, stderr=output, env=self.environment)

    def start_serving(self) -> psutil.Popen:
        """Start it and return once it serves."""
        process = self.start()
        deadline = time.monotonic() + START_SECONDS
        while SERVING not in self.output.read_text():
            assert process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)
        return process

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command beside the demo."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=START_SECONDS)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo, not started. Its folder is kept from one test to the next, as a user's would be."""
    yield Demo(tmp_path_factory.mktemp("demo"))


def children(process: psutil.Process) -> list[psutil.Process]:
    """Valkey, the worker and the site."""
    found = process.children(recursive=True)
    assert len(found) >= 3
    return found


def assert_all_end(found: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(found, timeout=15)
    assert alive == []


def test_once_it_draws_one_picture_and_ends(demo: Demo):
    process = demo.start("--once", "--prompt", 'a fox\'s "den" at sunset', "--count", "2", "--seed", "5")
    assert process.wait(START_SECONDS) == 0, demo.output.read_text()
    output = demo.output.read_text()
    task = json.loads(output[output.index("{") : output.rindex("}") + 1])
    assert task["status"] == "succeeded"
    assert [picture["seed"] for picture in task["images"]] == [5, 6]
    files = [Path(line.removeprefix("Landed in ")) for line in output.splitlines() if line.startswith("Landed in ")]
    assert len(files) == 2
    for file, picture in zip(files, task["images"], strict=True):
        assert file.is_relative_to(demo.folder / "media")
        with Image.open(file) as image:
            assert image.size == (picture["width"], picture["height"])
    assert (demo.folder / "secret-key").stat().st_mode & 0o077 == 0


def test_a_picture_that_cannot_be_drawn_is_an_error(demo: Demo):
    process = demo.start("--once", "--prompt", " ")
    assert process.wait(START_SECONDS) == 1
    output = demo.output.read_text()
    assert '"code": "prompt_empty"' in output
    assert "could not be drawn" in output


def test_it_serves_keeps_its_data_and_lets_others_work_beside_it(demo: Demo):
    process = demo.start_serving()
    started = children(process)
    with urllib.request.urlopen(f"http://127.0.0.1:{demo.port}/articles/") as page:
        assert "A lighthouse learns to keep quiet" in page.read().decode()

    beside = demo.run(*manage("ai_images_generate", "a boat", "--user", "designer", "--wait", "--json"))
    assert beside.returncode == 0, beside.stderr
    address = json.loads(beside.stdout)["images"][0]["url"]
    with urllib.request.urlopen(f"http://127.0.0.1:{demo.port}{address}") as file, Image.open(file) as picture:
        assert picture.size == (128, 128)
    with closing(sqlite3.connect(demo.folder / "db.sqlite3")) as database:
        drawn = "SELECT count(*) FROM cms_ai_images_generatedimage WHERE review_state = 'accepted'"
        assert database.execute(drawn).fetchone() == (4,)  # two in the first test, two in this one

    second = demo.run(*manage("ai_images_demo", "--port", str(demo.port)))
    assert second.returncode == 1
    assert f"already runs here: http://127.0.0.1:{demo.port}, process {process.pid}" in second.stderr

    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert_all_end(started)
    assert (demo.folder / "valkey" / "dump.rdb").exists()


def test_when_a_part_dies_it_says_so_and_ends(demo: Demo):
    process = demo.start_serving()
    started = children(process)
    next(child for child in started if "ai_images_worker" in child.cmdline()).kill()
    assert process.wait(30) == 1
    assert "worker ended with status -9" in demo.output.read_text()
    assert_all_end(started)


@pytest.mark.skipif(not Path("/proc").exists(), reason="Only Linux tells a process of its parent's end.")
def test_killed_it_leaves_nothing_running(demo: Demo):
    process = demo.start_serving()
    started = children(process)
    process.kill()
    process.wait()
    assert_all_end(started)
