"""Pictures that requests start from: brought, taken, kept, drawn from, deleted."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from filer.models import Folder
from PIL import Image

from cms_ai_images import services
from cms_ai_images.exceptions import (
    AddressRefused,
    AIImagesError,
    ParameterOutOfRange,
    RateLimited,
    ReferenceGone,
    ReferenceInUse,
    ReferenceNotFound,
    StorageFull,
    UploadNotAPicture,
    WrongNumberOfReferences,
)
from cms_ai_images.library import references
from cms_ai_images.models import GenerationTask, ReferencePicture
from cms_ai_images.models.references import REFERENCES
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import GenerationRequest, Reference, Status
from cms_ai_images.worker.inputs import with_pictures

from .factories import make_image, make_picture_model, make_preset, make_task
from .pictures import SLANT, filer_image, png

pytestmark = pytest.mark.django_db


def stored() -> set[str]:
    """The names of the files of references."""
    try:
        return set(draft_storage().listdir(REFERENCES)[1])
    except FileNotFoundError:
        return set()


@pytest.fixture(autouse=True)
def _no_files_of_others() -> None:
    for name in stored():
        draft_storage().delete(f"{REFERENCES}/{name}")


@pytest.fixture
def model(db: None) -> Any:
    return make_picture_model()


def request(*brought: Reference, **fields: Any) -> GenerationRequest:
    values = {"prompt": "a fox", "operation": "image_to_image", "references": brought}
    return GenerationRequest(**{**values, **fields})


def uploaded(reference: ReferencePicture) -> Reference:
    return Reference(kind="upload", value=str(reference.uuid))


# -- Keeping


def test_same_picture_is_kept_once_for_each_author(author, other_author):
    first = references.keep(author, png())
    assert (first.width, first.height, first.user) == (80, 40, author)
    assert references.keep(author, references.read(first)).pk == first.pk  # cleaning it again changes nothing
    other = references.keep(other_author, png())
    assert (other.sha256, other.pk == first.pk) == (first.sha256, False)
    assert len(stored()) == 2
    assert Image.open(BytesIO(references.read(first))).tobytes() == SLANT.tobytes()


def test_file_that_the_storage_lost_comes_back_with_the_next_upload(author):
    reference = references.keep(author, png())
    draft_storage().delete(reference.file.name)
    with pytest.raises(ReferenceGone):
        references.read(reference)
    references.keep(author, png())
    assert references.read(reference)


def test_hostile_file_leaves_nothing(author):
    with pytest.raises(UploadNotAPicture):
        references.keep(author, b"<svg/>")
    assert (ReferencePicture.objects.count(), stored()) == (0, set())


# -- Where they come from


def gathered(user: Any, kind: str, value: Any) -> ReferencePicture:
    [reference] = references.gather(user, [Reference(kind=kind, value=str(value))])
    return reference


def test_uploads_are_their_authors_alone(author, other_author):
    reference = references.keep(author, png())
    assert gathered(author, "upload", reference.uuid) == reference
    for user, value in ((other_author, reference.uuid), (author, uuid4()), (author, "x"), (author, "")):
        with pytest.raises(ReferenceNotFound):
            gathered(user, "upload", value)


def test_own_drafts_and_what_became_of_them(author, other_author):
    image = make_image(author)
    draft = gathered(author, "image", image.uuid)
    with pytest.raises(ReferenceNotFound):
        gathered(other_author, "image", image.uuid)
    services.accept(author, image, services.PictureDetails())
    assert gathered(author, "image", image.uuid) == draft
    services.discard(author, gone := make_image(author))
    with pytest.raises(ReferenceNotFound):
        gathered(author, "image", gone.uuid)


def test_library_files_as_filer_lets_them_be_read(author, other_author, admin, settings):
    own = filer_image(owner=author)
    assert gathered(author, "library", own.pk).sha256 == gathered(admin, "library", own.pk).sha256
    for user, value in ((other_author, own.pk), (author, 10**6), (author, "-1"), (author, "1e3"), (author, "९" * 3)):
        with pytest.raises(ReferenceNotFound):
            gathered(user, "library", value)


def test_library_file_of_a_folder_that_others_may_not_read(author, admin, monkeypatch):
    monkeypatch.setattr("filer.settings.FILER_ENABLE_PERMISSIONS", True)
    monkeypatch.setattr("filer.models.foldermodels.filer_settings.FILER_ENABLE_PERMISSIONS", True)
    closed = filer_image(owner=admin, folder=Folder.objects.create(name="closed", owner=admin))
    with pytest.raises(ReferenceNotFound):
        gathered(author, "library", closed.pk)
    assert gathered(admin, "library", closed.pk)


def test_library_file_that_is_no_picture_or_gone(author):
    broken = filer_image(owner=author)
    name = broken.file.name
    broken.file.storage.delete(name)
    with pytest.raises(ReferenceNotFound):
        gathered(author, "library", broken.pk)
    broken.file.storage.save(name, ContentFile(b"<svg/>"))
    with pytest.raises(UploadNotAPicture) as refused:
        gathered(author, "library", broken.pk)
    assert refused.value.field == "references"


def test_addresses_are_refused_unless_they_are_listed(author):
    with pytest.raises(AddressRefused) as refused:
        gathered(author, "url", "https://example.org/fox.png")
    assert refused.value.field == "references"


# -- Requests


def test_task_knows_its_picture_and_the_fingerprint_depends_on_it(author, model):
    reference, other = references.keep(author, png()), references.keep(author, png(SLANT.rotate(180)))
    task = services.request_generation(author, request(uploaded(reference), seed=1, strength=0.35))
    assert list(task.references.all()) == [reference]
    assert (task.parameters["references"], task.parameters["strength"]) == ([reference.sha256], 0.35)
    assert task.generation_parameters.references == (reference.sha256,)
    task.refresh_from_db()
    assert task.request["references"] == [{"kind": "upload", "value": str(reference.uuid)}]
    assert services.request_generation(author, request(uploaded(reference), seed=1, strength=0.35)) == task
    for changed in (request(uploaded(other), seed=1, strength=0.35), request(uploaded(reference), seed=1)):
        assert services.request_generation(author, changed).fingerprint != task.fingerprint


def test_same_pixels_from_elsewhere_are_the_same_request(author, model):
    task = services.request_generation(author, request(uploaded(references.keep(author, png())), seed=1))
    library = Reference(kind="library", value=str(filer_image(owner=author).pk))
    assert services.request_generation(author, request(library, seed=1)) == task


@pytest.mark.parametrize(
    ("operation", "count"), [("image_to_image", 0), ("image_to_image", 2), ("inpaint", 1), ("text_to_image", 1)]
)
def test_each_operation_takes_so_many(author, model, operation, count):
    brought = [uploaded(references.keep(author, png()))] * count
    with pytest.raises(WrongNumberOfReferences):
        services.request_generation(author, request(*brought, operation=operation))
    assert GenerationTask.objects.count() == 0


@pytest.mark.parametrize("strength", [-0.1, 1.1, 0.0, 0.09])
def test_strength_that_draws_no_step_is_refused(author, model, strength):
    reference = uploaded(references.keep(author, png()))
    with pytest.raises(ParameterOutOfRange) as refused:
        services.request_generation(author, request(reference, strength=strength))
    assert refused.value.field == "strength"
    if 0 <= strength <= 1:
        assert "between 0.1 and 1" in str(refused.value)
    assert services.request_generation(author, request(reference, strength=0.1)).parameters["strength"] == 0.1


def test_text_to_image_has_no_strength(author, model):
    """Not even a style's, which is there for other operations."""
    make_preset(version={"parameters": {"strength": 0.5}})
    task = services.request_generation(author, GenerationRequest(prompt="a fox", preset="pencil"))
    assert (task.parameters["strength"], task.parameters["references"]) == (None, [])


def test_old_task_that_asked_for_strength_in_vain_can_be_repeated(author, model):
    task = make_task(author, model, status=Status.FAILED)
    task.request["strength"] = 0.5
    task.save()
    assert services.retry(author, task).status == Status.QUEUED


def test_request_that_comes_to_nothing_counts_for_nothing(author, model):
    with pytest.raises(ReferenceNotFound):
        services.request_generation(author, request(Reference(kind="upload", value=str(uuid4()))))
    assert GenerationTask.objects.count() == 0


# -- In the worker


def test_worker_gets_the_middle_of_the_picture_in_the_size_to_draw(author, model):
    task = services.request_generation(author, request(uploaded(references.keep(author, png()))))
    parameters = with_pictures(task, task.generation_parameters)
    [picture] = parameters.pictures
    assert (picture.size, picture.mode) == ((64, 64), "RGB")
    assert picture.getpixel((32, 0))[0] < picture.getpixel((32, 63))[0]
    assert parameters == task.generation_parameters  # what was resolved is not changed by it
    assert "pictures" not in parameters.as_dict()


def test_worker_says_that_a_picture_is_gone(author, model):
    reference = references.keep(author, png())
    task = services.request_generation(author, request(uploaded(reference)))
    draft_storage().delete(reference.file.name)
    with pytest.raises(ReferenceGone):
        with_pictures(task, task.generation_parameters)
    draft_storage().save(reference.file.name, ContentFile(b"another"))
    with pytest.raises(ReferenceGone):
        with_pictures(task, task.generation_parameters)
    task.references.clear()
    with pytest.raises(ReferenceGone):
        with_pictures(task, task.generation_parameters)


# -- Deleting


def test_picture_is_kept_as_long_as_a_task_needs_it(author, other_author, model):
    reference = references.keep(author, png())
    task = services.request_generation(author, request(uploaded(reference)))
    with pytest.raises(AIImagesError):
        services.forget_reference(other_author, reference)
    with pytest.raises(ReferenceInUse):
        services.forget_reference(author, reference)
    services.cancel(author, task)
    services.forget_reference(author, reference)
    assert not ReferencePicture.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_purge_takes_what_nobody_uses_with_its_bytes(author, model):
    used, young, _old = (references.keep(author, png(SLANT.rotate(turn))) for turn in (0, 90, 180))
    services.request_generation(author, request(uploaded(used)))
    long_ago = timezone.now() - timedelta(days=31)
    ReferencePicture.objects.exclude(pk=young.pk).update(used_at=long_ago)
    said = StringIO()
    call_command("ai_images_purge", stdout=said)
    assert "Purged references: 1." in said.getvalue()
    assert set(ReferencePicture.objects.all()) == {used, young}
    assert stored() == {name.rpartition("/")[2] for name in (used.file.name, young.file.name)}
    ReferencePicture.objects.filter(pk=young.pk).update(used_at=long_ago)
    references.gather(author, [uploaded(young)])  # whoever is about to use it keeps it
    assert references.purge(timezone.now() - timedelta(days=30)) == 0


@pytest.mark.django_db(transaction=True)
def test_files_of_nobody_are_swept(author, other_author):
    mine, theirs = references.keep(author, png()), references.keep(other_author, png())
    other_author.delete()
    call_command("ai_images_purge", orphan_hours=-1, stdout=StringIO())
    assert stored() == {mine.file.name.rpartition("/")[2]}
    assert theirs.file.name != mine.file.name


def test_bytes_outlive_a_deletion_that_is_rolled_back(author):
    reference = references.keep(author, png())
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        references.forget(reference)
        raise ZeroDivisionError
    assert references.read(reference)


# -- Limits


def test_bringing_counts_as_a_request_and_fills_the_storage(author, settings):
    settings.CMS_AI_IMAGES = {"LIMITS": {"requests_per_minute": 1}}
    services.keep_reference(author, png())
    with pytest.raises(RateLimited):
        services.keep_reference(author, png())
    ReferencePicture.objects.update(byte_size=2**20)
    settings.CMS_AI_IMAGES = {"LIMITS": {"storage_mib": 1, "requests_per_minute": None}}
    with pytest.raises(StorageFull):
        services.keep_reference(author, png())
