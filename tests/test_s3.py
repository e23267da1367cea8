"""Both storages in S3, through django-storages: `TEST_STORAGE=s3`, for django-filer reads its storages only once."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.storage import storages
from django.core.management import call_command
from django.test import Client, override_settings
from easy_thumbnails.files import get_thumbnailer
from filer.models import Image
from storages.backends.s3 import S3Storage

from cms_ai_images import services
from cms_ai_images.doctor import Finding, Level, check_storages
from cms_ai_images.library import drafts, intake
from cms_ai_images.models import GeneratedImage
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import PictureDetails, ReviewState

from .factories import make_image
from .seaweedfs import DRAFTS, LIBRARY, s3_client, s3_storage
from .services import child_environment


@pytest.fixture(autouse=True)
def buckets(transactional_db: None) -> Iterator[Any]:
    """A client of the two buckets, which are empty before each test."""
    client = s3_client(settings.S3_ENDPOINT)
    for bucket in (DRAFTS, LIBRARY):
        for key in keys(client, bucket):
            client.delete_object(Bucket=bucket, Key=key)
    yield client
    client.close()


def keys(client: Any, bucket: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


def read_by_anybody(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310
        return bytes(answer.read())


class TestWhereFilesAre:
    def test_each_storage_uses_its_own_bucket_and_options(self, author: User, buckets: Any) -> None:
        public = intake.public_storage()
        assert isinstance(public, S3Storage)
        assert (draft_storage().bucket_name, public.bucket_name) == (DRAFTS, LIBRARY)
        image = make_image(author)
        key = image.file.name
        assert sorted(keys(buckets, DRAFTS)) == sorted([key, drafts.preview_key(key)])
        assert keys(buckets, LIBRARY) == []
        accepted = services.accept(author, image, PictureDetails())
        assert keys(buckets, DRAFTS) == []
        assert keys(buckets, LIBRARY) == [accepted.file.name]

    def test_nobody_reads_a_draft_and_everybody_the_library(self, author: User, buckets: Any) -> None:
        image = make_image(author)
        data = drafts.read(image)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            read_by_anybody(f"{settings.S3_ENDPOINT}/{DRAFTS}/{image.file.name}")
        url = services.accept(author, image, PictureDetails()).url
        assert url.startswith(f"{settings.S3_ENDPOINT}/{LIBRARY}/")
        assert "?" not in url, "An address with an expiry date would break the article that holds it."
        assert read_by_anybody(url) == data

    def test_the_site_serves_drafts_previews_and_downloads_to_their_author_only(
        self, author: User, other_author: User, client: Client
    ) -> None:
        image = make_image(author)
        addresses = [f"/ai-images/api/v1/images/{image.uuid}/{what}/" for what in ("file", "preview", "download")]
        client.force_login(author)
        bodies = [client.get(address).content for address in addresses]
        assert bodies[0] == bodies[2] == drafts.read(image)
        assert bodies[1] == drafts.read(image, preview=True)
        services.accept(author, image, PictureDetails())
        assert client.get(addresses[2]).content == bodies[0]
        client.force_login(other_author)
        assert {client.get(address).status_code for address in addresses} == {404}

    def test_thumbnails_are_made_in_the_library_bucket(self, author: User, buckets: Any) -> None:
        accepted = services.accept(author, make_image(author), PictureDetails())
        thumbnail = get_thumbnailer(accepted.file).get_thumbnail({"size": (32, 32), "crop": True})
        assert thumbnail.name.startswith("thumbnails/")
        assert thumbnail.name in keys(buckets, LIBRARY)
        assert len(read_by_anybody(thumbnail.url)) == thumbnail.size

    @pytest.mark.parametrize("overwrite", [True, False])
    def test_half_a_file_is_replaced_whether_the_storage_overwrites_or_not(
        self, author: User, buckets: Any, monkeypatch: pytest.MonkeyPatch, overwrite: bool
    ) -> None:
        monkeypatch.setattr(storages["ai_images_drafts"], "file_overwrite", overwrite)
        image = make_image(author)
        data = drafts.read(image)
        buckets.put_object(Bucket=DRAFTS, Key=image.file.name, Body=data[:50])
        drafts.write(image.file.name, data)
        assert drafts.read(image) == data
        assert len(keys(buckets, DRAFTS)) == 2


# Accepts a picture and dies at a place: it is told nothing, it can say nothing, no `finally` is run.
ACCEPT = """
import os, signal, sys
import django
django.setup()
from cms_ai_images import services
from cms_ai_images.library import intake
from cms_ai_images.models import GeneratedImage
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import PictureDetails

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

key, place = sys.argv[1:]
library, draft = intake.public_storage(), draft_storage()
save, delete = library.save, draft.delete
if place == "before the copy":
    library.save = die
elif place == "before the commit":
    library.save = lambda *args: (save(*args), die())
elif place == "before the deletion":
    draft.delete = die
elif place == "before the preview's deletion":
    draft.delete = lambda name: (delete(name), die())
image = GeneratedImage.objects.get(pk=key)
services.accept(image.task.user, image, PictureDetails())
"""

UNCOMMITTED = ["before the copy", "before the commit"]
COMMITTED = ["before the deletion", "before the preview's deletion"]


def accept_and_die(image: GeneratedImage, place: str) -> None:
    """Accept the picture in a process that is killed at `place`."""
    done = subprocess.run(
        [sys.executable, "-c", ACCEPT, str(image.pk), place], env=child_environment(), capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    image.refresh_from_db()


class TestKilledWhileAccepting:
    @pytest.mark.parametrize("place", UNCOMMITTED)
    def test_the_draft_is_there_and_a_second_click_ends_with_one_file(
        self, author: User, buckets: Any, place: str
    ) -> None:
        image = make_image(author)
        data = drafts.read(image)
        accept_and_die(image, place)
        assert image.review_state == ReviewState.DRAFT
        assert len(keys(buckets, LIBRARY)) == UNCOMMITTED.index(place)
        assert drafts.read(image) == data
        accepted = services.accept(author, image, PictureDetails())
        assert read_by_anybody(accepted.url) == data
        assert keys(buckets, LIBRARY) == [accepted.file.name]
        assert keys(buckets, DRAFTS) == []

    @pytest.mark.parametrize("place", UNCOMMITTED)
    def test_nobody_comes_back_and_the_purge_leaves_nothing(self, author: User, buckets: Any, place: str) -> None:
        image = make_image(author)
        accept_and_die(image, place)
        purge()
        image.refresh_from_db()
        assert image.review_state == ReviewState.PURGED
        assert keys(buckets, DRAFTS) == keys(buckets, LIBRARY) == []

    @pytest.mark.parametrize("place", COMMITTED)
    def test_the_library_has_it_and_the_purge_takes_the_draft(self, author: User, buckets: Any, place: str) -> None:
        image = make_image(author)
        data = drafts.read(image)
        accept_and_die(image, place)
        assert image.review_state == ReviewState.ACCEPTED
        assert len(keys(buckets, DRAFTS)) == 2 - COMMITTED.index(place)
        assert services.accept(author, image, PictureDetails()) == image.filer_image
        purge()
        assert keys(buckets, DRAFTS) == []
        assert keys(buckets, LIBRARY) == [Image.objects.get().file.name]
        assert read_by_anybody(Image.objects.get().url) == data


def purge() -> None:
    """As if the retention time and the grace for orphans had passed."""
    call_command("ai_images_purge", days=0, orphan_hours=0, verbosity=0)


class TestDoctor:
    def test_both_are_sound_and_nothing_is_left_behind(self, buckets: Any) -> None:
        assert [finding.level for finding in check_storages()] == [Level.OK, Level.OK]
        assert keys(buckets, DRAFTS) == keys(buckets, LIBRARY) == []

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"secret_key": "wrong"}, "Forbidden"),
            ({"access_key": "nobody"}, "Forbidden"),
            ({"bucket_name": "missing"}, "NoSuchBucket"),
            ({"endpoint_url": "http://127.0.0.1:9"}, "EndpointConnectionError"),
        ],
    )
    def test_it_says_what_is_wrong_with_the_drafts(self, options: dict[str, str], said: str) -> None:
        broken = s3_storage(settings.S3_ENDPOINT, DRAFTS, **options)
        with override_settings(STORAGES={**settings.STORAGES, "ai_images_drafts": broken}):
            draft, library = check_storages()
        assert_mendable(draft, said, "STORAGES['ai_images_drafts']")
        assert library.level == Level.OK

    def test_it_says_what_is_wrong_with_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = S3Storage(**s3_storage(settings.S3_ENDPOINT, "missing")["OPTIONS"])
        monkeypatch.setitem(Image._meta.get_field("file").storages, "public", broken)
        draft, library = check_storages()
        assert draft.level == Level.OK
        assert_mendable(library, "NoSuchBucket", "FILER_STORAGES")


def assert_mendable(finding: Finding, said: str, setting: str) -> None:
    assert finding.level == Level.ERROR
    assert finding.detail.startswith("write: ")
    assert said in finding.detail
    assert setting in finding.mend
