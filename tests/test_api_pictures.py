"""What the API does with one picture: it is accepted into the library, downloaded, or thrown away."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.test import Client
from filer.models import Folder
from PIL import Image

from cms_ai_images.models import GeneratedImage
from cms_ai_images.types import Status

from .api import post, url
from .conftest import logged_in
from .factories import make_image, make_task

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(author) -> Client:
    return logged_in(author)


@pytest.fixture
def other_client(other_author) -> Client:
    return logged_in(other_author)


def test_a_discarded_picture_is_gone(client, author):
    image = make_image(author)
    assert post(client, url("image-discard", image.uuid)).json()["state"] == "discarded"
    response = client.get(url("image-file", image.uuid))
    assert (response.status_code, response.json()["code"]) == (410, "draft_gone")


def test_what_is_in_the_library_is_not_discarded_here(client, author):
    image = make_image(author)
    assert post(client, url("image-accept", image.uuid)).status_code == 200
    response = post(client, url("image-discard", image.uuid))
    assert (response.status_code, response.json()["code"]) == (409, "already_accepted")
    assert "media library" in response.json()["detail"]
    image.refresh_from_db()
    assert image.review_state == "accepted"


class TestAccepting:
    def test_everything_that_can_be_said(self, client, author):
        image = make_image(author)
        folder = Folder.objects.create(name="Autumn")
        details = {
            "name": "Fox",
            "alt_text": "A fox",
            "caption": "<b>By day</b>",
            "credit": "The paper",
            "folder_id": folder.pk,
            "focal_point": [0.5, 1],
        }
        library = post(client, url("image-accept", image.uuid), details).json()["library"]
        assert (library["alt_text"], library["caption"], library["credit"]) == ("A fox", "<b>By day</b>", "The paper")
        assert library["focal_point"] == [32 / 63, 1]
        filer_image = GeneratedImage.objects.get(pk=image.pk).filer_image
        assert (filer_image.folder, filer_image.subject_location) == (folder, "32,63")

    def test_what_is_proposed_is_told_with_the_task(self, client, author):
        task = make_task(author, prompt="a fox\n\n " + "x" * 300, output_format="webp")
        data = client.get(url("task-detail", task.uuid)).json()
        assert data["proposed"]["name"] == "a fox " + "x" * 73 + "…"
        assert len(data["proposed"]["alt_text"]) == 255
        assert (data["output_format"], data["user"]) == ("webp", None)

    def test_again_with_other_words_changes_the_same_file(self, client, author):
        image = make_image(author)
        first = post(client, url("image-accept", image.uuid), {"alt_text": "A fox"}).json()["library"]
        second = post(client, url("image-accept", image.uuid), {"decorative": True, "caption": "By day"}).json()
        assert second["library"] == {**first, "alt_text": "", "caption": "By day"}

    @pytest.mark.parametrize(
        ("details", "field"),
        [
            ({"focal_point": [0.5]}, "focal_point"),
            ({"focal_point": [0.5, 1.1]}, "focal_point.1"),
            ({"focal_point": [-0.1, 0]}, "focal_point.0"),
            ({"focal_point": ["nan", 0]}, "focal_point.0"),
            ({"focal_point": "middle"}, "focal_point"),
            ({"folder_id": 2**63}, "folder_id"),
            ({"folder_id": 999_999}, "folder_id"),
            ({"alt_text": "x" * 256}, "alt_text"),
            ({"caption": "half a pair \ud83e"}, "caption"),
            ({"decorative": "perhaps"}, "decorative"),
        ],
    )
    def test_a_wrong_detail_is_refused_and_the_draft_kept(self, client, author, details, field):
        image = make_image(author)
        refused = post(client, url("image-accept", image.uuid), details)
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["field"] == field
        assert client.get(url("image-file", image.uuid)).status_code == 200


class TestDownload:
    @pytest.mark.parametrize(
        ("prompt", "name"),
        [
            ("A red fox, in a library!", 'filename="a-red-fox-in-a-library-1.png"'),
            ("红苹果", "filename*=utf-8''%E7%BA%A2%E8%8B%B9%E6%9E%9C-1.png"),
            ('"; filename="evil.html', 'filename="filenameevilhtml-1.png"'),
            ("🦊", 'filename="ai-image-1.png"'),
        ],
    )
    def test_has_a_name_that_says_what_it_is(self, client, author, prompt, name):
        image = make_image(task=make_task(author, status=Status.SUCCEEDED, prompt=prompt))
        data = client.get(url("task-detail", image.task.uuid)).json()["images"][0]
        answer = client.get(data["download_url"])
        assert answer["Content-Disposition"] == f"attachment; {name}"
        assert answer["Content-Type"] == "image/png"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert Image.open(BytesIO(answer.content)).size == (64, 64)

    def test_works_for_what_is_in_the_library(self, client, author):
        image = make_image(author)
        draft = client.get(url("image-download", image.uuid)).content
        accepted = post(client, url("image-accept", image.uuid)).json()
        assert client.get(accepted["download_url"]).content == draft
        filer_image = GeneratedImage.objects.get(pk=image.pk).filer_image
        filer_image.file.storage.delete(filer_image.file.name)
        assert client.get(accepted["download_url"]).json()["code"] == "draft_gone"

    def test_is_the_authors_alone(self, client, other_client, author):
        image = make_image(author)
        assert other_client.get(url("image-download", image.uuid)).status_code == 404
        post(client, url("image-accept", image.uuid))
        assert other_client.get(url("image-download", image.uuid)).status_code == 404

    def test_a_discarded_picture_has_none(self, client, author):
        image = make_image(author)
        assert post(client, url("image-discard", image.uuid)).json()["download_url"] is None
        assert client.get(url("image-download", image.uuid)).json()["code"] == "draft_gone"
