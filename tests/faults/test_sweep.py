"""The daily sweep takes what no row names, and nothing that somebody may still come back to."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils import timezone

from cms_ai_images.library import drafts, intake, orphans
from cms_ai_images.models import GenerationTask
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import PictureDetails, Status
from tests.factories import make_image, make_task

pytestmark = pytest.mark.django_db(transaction=True)  # what is done on commit counts


@pytest.fixture(autouse=True)
def _nothing_there():
    """Start with empty storages, whatever other tests left: `sweep` counts."""
    GenerationTask.objects.all().delete()
    orphans.sweep(timezone.now() + timedelta(hours=1))


def sweep() -> int:
    """As if an hour had passed."""
    return orphans.sweep(timezone.now() + timedelta(seconds=5))


def put(key: str) -> str:
    return draft_storage().save(key, ContentFile(b"half a pict"))


def test_drafts_that_no_row_names_go_with_their_previews(author):
    image = make_image(author)
    orphan = put(f"{image.task.uuid}/0-0123456789abcdef.png")
    preview = put(drafts.preview_key(orphan))
    forgotten = put(f"{uuid.uuid4()}/0-0123456789abcdef.png")
    assert sweep() == 3
    assert not any(draft_storage().exists(key) for key in (orphan, preview, forgotten))
    assert drafts.read(image)
    assert drafts.read(image, preview=True)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_a_task_that_goes_on_keeps_its_files(author, status):
    key = put(f"{make_task(author, status=status).uuid}/0-0123456789abcdef.png")
    assert sweep() == 0
    assert draft_storage().exists(key)


def test_young_and_foreign_files_are_left_alone(author):
    young = put(f"{uuid.uuid4()}/0-0123456789abcdef.png")
    foreign = put("notes/readme.txt")
    assert orphans.sweep(timezone.now() - timedelta(hours=1)) == 0
    assert draft_storage().exists(young)
    draft_storage().delete(young)
    assert sweep() == 0
    assert draft_storage().exists(foreign)


def test_second_copies_in_the_public_storage_go(author):
    image = make_image(author)
    kept = intake.accept(image, PictureDetails()).file.name
    storage = intake.public_storage()
    stem, dot, extension = kept.rpartition(".")
    second = storage.save(f"{stem}_a1B2c3D{dot}{extension}", ContentFile(b"half"))
    foreign = storage.save(f"{intake.FOLDER}/2026/01/logo.png", ContentFile(b"logo"))
    assert sweep() == 1
    assert storage.exists(kept)
    assert storage.exists(foreign)
    assert not storage.exists(second)


def test_the_copy_of_a_draft_stays_for_the_next_try(author):
    image = make_image(author)
    name = intake._copy(image, drafts.read(image), "")
    assert sweep() == 0
    assert intake.accept(image, PictureDetails()).file.name == name


@pytest.mark.local_files
def test_a_storage_that_knows_no_folders_is_swept_too(author, monkeypatch):
    """As the Azure backend of django-storages lists: every file below, by its whole name."""

    def flat(storage):
        root = Path(storage.location)

        def listdir(folder):
            return [], [path.relative_to(root).as_posix() for path in (root / folder).rglob("*") if path.is_file()]

        monkeypatch.setattr(storage, "listdir", listdir)

    image, accepted = make_image(author), make_image(author)
    kept = intake.accept(accepted, PictureDetails()).file.name
    flat(storages["ai_images_drafts"])
    flat(intake.public_storage())
    orphan = put(f"{uuid.uuid4()}/0-0123456789abcdef.png")
    stem, dot, extension = kept.rpartition(".")
    second = intake.public_storage().save(f"{stem}_a1B2c3D{dot}{extension}", ContentFile(b"half"))
    assert sweep() == 2
    assert not draft_storage().exists(orphan)
    assert not intake.public_storage().exists(second)
    assert intake.public_storage().exists(kept)
    assert drafts.read(image, preview=True)
