"""From draft to media library: once, whole, and with nothing left behind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import FileSystemStorage
from django.db import IntegrityError, transaction
from django.db.models.signals import post_save
from filer.models import File, Folder
from filer.models import Image as FilerImage
from PIL import Image

from cms_ai_images.exceptions import DraftGone, FolderNotFound, StorageUnavailable
from cms_ai_images.library import describing, drafts, files, intake, naming
from cms_ai_images.library.folders import default_folder
from cms_ai_images.models import GeneratedImage, GenerationTask
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import PictureDetails, ReviewState, Status

from .factories import make_image, make_task
from .threads import at_once

PROMPT = "a red apple on the beach"


def public_files(task: GenerationTask) -> list[str]:
    """The names of this task's files in the public storage."""
    storage = File._meta.get_field("file").storages["public"]
    folder = f"ai_images/{task.created_at:%Y/%m}"
    try:
        names = storage.listdir(folder)[1]
    except FileNotFoundError:  # only file systems have folders that are missing; in a bucket they are empty
        return []
    return [f"{folder}/{name}" for name in names if task.uuid.hex[:12] in name]


def accept(image: GeneratedImage, **details: Any) -> FilerImage:
    return intake.accept(image, PictureDetails(**details))


# -- What lands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output_format", "ending", "mime_type"),
    [("png", "png", "image/png"), ("webp", "webp", "image/webp"), ("jpeg", "jpg", "image/jpeg")],
)
@pytest.mark.django_db
def test_accepted_picture_is_a_full_library_file(author: User, output_format: str, ending: str, mime_type: str) -> None:
    image = make_image(task=make_task(author, status=Status.SUCCEEDED, width=96, output_format=output_format))
    data = drafts.read(image)

    accepted = accept(image, name="Apple", alt_text="A red apple", caption="On the beach", credit="The newsroom")

    stored = FilerImage.objects.get(pk=accepted.pk)
    assert (stored.name, stored.default_alt_text, stored.default_caption) == ("Apple", "A red apple", "On the beach")
    assert (stored.author, stored.owner, stored.is_public) == ("The newsroom", author, True)
    assert (stored.folder.name, stored.folder.parent) == ("AI images", None)
    assert (stored.width, stored.height, stored.size) == (96, 64, len(data))
    assert (stored.sha1, stored.mime_type) == (hashlib.sha1(data).hexdigest(), mime_type)  # noqa: S324
    assert stored.original_filename.endswith(f".{ending}")
    assert PROMPT in stored.description
    assert str(image.task.uuid) in stored.description
    with stored.file.storage.open(stored.file.name) as file:
        assert file.read() == data
    with Image.open(BytesIO(data)) as picture:
        assert picture.size == (96, 64)
        assert picture.get_format_mimetype() == mime_type


@pytest.mark.django_db
def test_accepted_picture_knows_its_task_and_has_thumbnails(author: User) -> None:
    image = make_image(author)
    accepted = accept(image)

    assert list(accepted.ai_images.all()) == [image]
    assert (image.review_state, image.filer_image, bool(image.file)) == (ReviewState.ACCEPTED, accepted, False)
    assert image.reviewed_at is not None
    thumbnail = accepted.file.get_thumbnail({"size": (32, 32), "crop": True})
    with thumbnail.storage.open(thumbnail.name) as file, Image.open(file) as picture:
        assert picture.size == (32, 32)
    assert set(accepted.thumbnails)  # those that filer's own admin shows


@pytest.mark.django_db(transaction=True)
def test_draft_and_preview_go_when_the_rows_are_committed(author: User) -> None:
    image = make_image(author)
    key = str(image.file.name)
    with transaction.atomic():
        accept(image)
        assert draft_storage().exists(key)
    assert not draft_storage().exists(key)
    assert not draft_storage().exists(drafts.preview_key(key))


@pytest.mark.django_db
def test_what_the_author_leaves_out_is_proposed(author: User) -> None:
    long = make_image(task=make_task(author, status=Status.SUCCEEDED, prompt="an apple\non  the beach " * 20))
    chinese = make_image(task=make_task(author, status=Status.SUCCEEDED, prompt="红苹果 🍎"))

    first, second = accept(long), accept(chinese)
    assert first.name.startswith("an apple on the beach an apple")
    assert len(first.name) == 80
    assert (second.name, second.default_alt_text) == ("红苹果 🍎", "红苹果 🍎")
    assert not second.default_caption
    assert first.original_filename.startswith("an-apple-on-the-beach-")
    assert second.original_filename.startswith("ai-image-")
    assert second.original_filename.isascii()


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("The light at Kap Arkona", "the-light-at-kap-arkona-"),
        ("Cover.JPG", "cover-"),
        ("2026/05 v1.2", "2026-05-v1-2-"),
        ("  ", "a-red-apple-on-the-beach-"),
        ("Мая́к", "ai-image-"),  # never the words of the prompt
    ],
)
@pytest.mark.django_db
def test_the_file_itself_is_called_what_its_author_calls_it(author: User, name: str, start: str) -> None:
    image = make_image(task=make_task(author, status=Status.SUCCEEDED, prompt=PROMPT))
    accepted = accept(image, name=name)
    assert accepted.original_filename.startswith(start)
    assert public_files(image.task) == [accepted.file.name], "Nothing was public under another name before."
    assert accepted.url.endswith(f"/{accepted.original_filename}")


@pytest.mark.parametrize(
    "text", ["x" * 300, "<b onmouseover='alert(1)'>" + "é" * 300, "a" + "\u0301" * 400, "海" * 300]
)
@pytest.mark.django_db
def test_texts_are_kept_as_written_within_what_filer_holds(author: User, text: str) -> None:
    image = make_image(task=make_task(author, status=Status.SUCCEEDED, prompt=text))
    accepted = accept(image, alt_text=text, caption=f"  {text}  ", credit=text)
    for field in ("default_alt_text", "default_caption", "author"):
        assert getattr(accepted, field) == text[:254] + "…"
    accepted.full_clean(exclude=["_file_type_plugin_name", "polymorphic_ctype"])
    assert len(accepted.name) <= 80


def test_short_text_is_not_touched() -> None:
    assert naming.shorten("  as <it> is  ") == "as <it> is"
    assert naming.shorten("x" * 255) == "x" * 255


# -- Where it lands ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_folder_of_the_setting_is_made_once_and_the_older_of_two_wins(author: User, settings) -> None:
    settings.CMS_AI_IMAGES = {"LIBRARY_FOLDER": "Drawn"}
    folder = accept(make_image(author)).folder
    inner = Folder.objects.create(name="Drawn", parent=Folder.objects.create(name="Elsewhere"))
    Folder.objects.create(name="Drawn")  # filer lets two roots have one name
    assert default_folder() == accept(make_image(author)).folder == folder
    assert folder != inner


@pytest.mark.django_db
def test_folder_may_be_chosen_and_a_deleted_one_leaves_the_draft(author: User) -> None:
    chosen = Folder.objects.create(name="Fruit")
    assert accept(make_image(author), folder_id=chosen.pk).folder == chosen

    image = make_image(author)
    with pytest.raises(FolderNotFound):
        accept(image, folder_id=chosen.pk + 1000)
    assert drafts.read(image)
    assert public_files(image.task) == []


# -- Twice, at once, and on bad days -----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_accepting_twice_gives_the_same_file(author: User) -> None:
    image = make_image(author)
    stale = GeneratedImage.objects.get(pk=image.pk)
    first = accept(image, name="First", caption="By day")
    assert accept(image).pk == accept(stale).pk == first.pk
    stored = FilerImage.objects.get(ai_images=image)
    assert (stored.name, stored.default_caption) == ("First", "By day")
    assert len(public_files(image.task)) == 1


@pytest.mark.django_db
def test_accepting_again_with_other_words_changes_the_file(author: User, django_assert_max_num_queries: Any) -> None:
    image = make_image(author)
    folder = Folder.objects.create(name="Autumn")
    first = accept(image, name="First", alt_text="A plum", caption="By day", credit="The paper")
    bytes_before = first.file.name
    with django_assert_max_num_queries(8):
        again = accept(image, alt_text="An apple", caption="", folder_id=folder.pk, focal_point=(1.0, 0.0))
    stored = FilerImage.objects.get(pk=first.pk)
    assert again.pk == first.pk
    assert (stored.name, stored.default_alt_text, stored.default_caption) == ("First", "An apple", "")
    assert (stored.author, stored.folder, stored.subject_location) == ("The paper", folder, "63,0")
    assert stored.file.name == bytes_before
    assert accept(image, decorative=True).default_alt_text == ""
    assert FilerImage.objects.count() == 1


@pytest.mark.django_db
def test_a_file_that_was_given_to_somebody_else_keeps_their_words(author: User, other_author: User) -> None:
    image = make_image(author)
    first = accept(image, name="First")
    FilerImage.objects.filter(pk=first.pk).update(owner=other_author, name="Catalogued")
    assert accept(GeneratedImage.objects.get(pk=image.pk), name="Second").name == "Catalogued"


@pytest.mark.django_db
def test_a_folder_that_is_gone_is_said_also_the_second_time(author: User) -> None:
    image = make_image(author)
    accept(image, name="First")
    with pytest.raises(FolderNotFound):
        accept(image, name="Second", folder_id=999_999)
    assert FilerImage.objects.get(ai_images=image).name == "First"


@pytest.mark.parametrize(
    ("point", "pixels"), [((0.0, 0.0), "0,0"), ((1.0, 1.0), "63,63"), ((0.5, 0.25), "32,16"), (None, "")]
)
@pytest.mark.django_db
def test_the_focal_point_is_kept_in_pixels_and_keeps_crops_there(
    author: User, point: tuple[float, float] | None, pixels: str
) -> None:
    accepted = accept(make_image(author), focal_point=point)
    assert (accepted.subject_location or "") == pixels
    assert accepted.file.get_thumbnail({"size": (16, 32), "crop": True, "subject_location": pixels}).width == 16


@pytest.mark.parametrize(
    ("written", "point"),
    [("0,63", [0, 1]), ("900,0", [1, 0]), ("", None), (None, None), ("12", None), ("a,b", None), ("-1,5", None)],
)
@pytest.mark.django_db
def test_a_focal_point_is_read_back_also_where_somebody_wrote_nonsense(
    author: User, written: str | None, point: list[float] | None
) -> None:
    accepted = accept(make_image(author))
    accepted.subject_location = written
    assert describing.focal_point(accepted) == point


@pytest.mark.django_db
def test_a_decorative_picture_has_no_proposed_alternative_text(author: User) -> None:
    assert accept(make_image(author), decorative=True, alt_text="An apple").default_alt_text == ""
    assert accept(make_image(author), alt_text="  ").default_alt_text == PROMPT


@pytest.mark.django_db(transaction=True)
def test_accepting_from_many_threads_at_once_gives_one_file(author: User) -> None:
    image = make_image(author)
    copies = [GeneratedImage.objects.select_related("task").get(pk=image.pk) for _ in range(4)]
    assert len(set(at_once([lambda copy=copy: accept(copy).pk for copy in copies]))) == 1
    assert FilerImage.objects.filter(ai_images=image).count() == 1
    assert len(public_files(image.task)) == 1
    assert Folder.objects.filter(name="AI images").count() == 1


@pytest.mark.django_db(transaction=True)
def test_first_pictures_of_many_authors_make_one_folder(author: User) -> None:
    images = [make_image(author) for _ in range(4)]
    assert set(at_once([lambda image=image: accept(image).folder_id for image in images])) == {Folder.objects.get().pk}


@pytest.fixture
def failing_insert() -> Iterator[None]:
    """The database refuses what comes after the library file's own rows."""

    def refuse(**kwargs: Any) -> None:
        raise IntegrityError("no")

    post_save.connect(refuse, sender=FilerImage, dispatch_uid="refuse")
    yield
    post_save.disconnect(sender=FilerImage, dispatch_uid="refuse")


@pytest.mark.django_db(transaction=True)
def test_failure_between_copy_and_commit_loses_nothing(author: User, failing_insert: None) -> None:
    image = make_image(author)
    with pytest.raises(IntegrityError):
        accept(image)
    image.refresh_from_db()
    assert image.review_state == ReviewState.DRAFT
    assert drafts.read(image)
    assert drafts.read(image, preview=True)
    assert not FilerImage.objects.exists()

    post_save.disconnect(sender=FilerImage, dispatch_uid="refuse")
    accepted = accept(image)
    assert public_files(image.task) == [accepted.file.name]


@pytest.mark.django_db
def test_copy_that_was_cut_off_is_not_taken_for_the_picture(author: User) -> None:
    image = make_image(author)
    data = drafts.read(image)
    cut_off = f"ai_images/{image.task.created_at:%Y/%m}/{naming.file_name(image)}"
    files.put(File._meta.get_field("file").storages["public"], cut_off, data[:50])

    accepted = accept(image)
    with accepted.file.storage.open(accepted.file.name) as file:
        assert file.read() == data


@pytest.mark.django_db
def test_draft_that_was_cut_off_is_made_anew(author: User) -> None:
    image = make_image(author)
    data, key = drafts.read(image), str(image.file.name)
    draft_storage().delete(key)
    files.put(draft_storage(), key, data[:50])

    drafts.write(key, data)
    assert drafts.read(image) == data
    folder = key.rpartition("/")[0]
    assert sorted(draft_storage().listdir(folder)[1]) == [
        name.removeprefix(f"{folder}/") for name in (key, drafts.preview_key(key))
    ]


@pytest.mark.django_db
def test_discarded_or_lost_picture_cannot_be_accepted(author: User) -> None:
    discarded, lost = make_image(author, review_state=ReviewState.DISCARDED), make_image(author)
    drafts.delete(str(lost.file.name))
    for image in (discarded, lost):
        with pytest.raises(DraftGone):
            accept(image)
    assert not FilerImage.objects.exists()


@pytest.mark.django_db
def test_picture_discarded_while_it_is_accepted_leaves_no_public_copy(author: User) -> None:
    image = make_image(author)
    GeneratedImage.objects.update(review_state=ReviewState.DISCARDED)  # committed; its draft goes a moment later
    with pytest.raises(DraftGone):
        accept(image)
    assert public_files(image.task) == []


@pytest.mark.django_db
def test_picture_deleted_from_the_library_stays_gone(author: User) -> None:
    image = make_image(author)
    accept(image).delete()
    image.refresh_from_db()
    assert (image.review_state, image.filer_image) == (ReviewState.ACCEPTED, None)
    assert public_files(image.task) == []
    with pytest.raises(DraftGone):
        accept(image)


@pytest.mark.django_db
@pytest.mark.local_files
def test_storage_that_does_not_answer_is_said_so(author: User) -> None:
    image = make_image(author)
    draft_storage().delete(str(image.file.name))
    draft_storage().save(f"{image.file.name}/in-the-way", BytesIO(b"a folder where the file was"))
    with pytest.raises(StorageUnavailable) as caught:
        drafts.read(image)
    assert caught.value.retryable


# -- Files -------------------------------------------------------------------------------------------------------------


def test_same_bytes_put_from_many_threads_are_never_half_a_file(tmp_path) -> None:
    storage = FileSystemStorage(location=tmp_path)
    data = bytes(range(256)) * 4096
    names = set(at_once([lambda: files.put(storage, "folder/name.bin", data)] * 8))
    for name in names:
        with storage.open(name) as file:
            assert file.read() == data
    assert set(storage.listdir("folder")[1]) == {name.removeprefix("folder/") for name in names}


def test_name_that_is_taken_by_a_whole_file_is_left_alone(tmp_path) -> None:
    storage = FileSystemStorage(location=tmp_path)
    assert files.put(storage, "name.bin", b"123") == files.put(storage, "name.bin", b"123") == "name.bin"
    assert storage.listdir("")[1] == ["name.bin"]


def test_removing_what_is_gone_is_harmless_and_a_failure_is_logged(tmp_path, caplog) -> None:
    storage = FileSystemStorage(location=tmp_path)
    files.remove(storage, "gone.bin")
    assert caplog.text == ""
    files.put(storage, "folder/name.bin", b"1")
    files.remove(storage, "folder")  # not empty, so the system refuses
    assert "folder could not be deleted" in caplog.text
