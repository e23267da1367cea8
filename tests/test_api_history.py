"""Finding tasks again: filters, everybody's tasks, and the numbers of the badge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cms_ai_images.models import GenerationTask
from cms_ai_images.types import PictureDetails, ReviewState, Status
from project.articles.models import Article

from .conftest import make_user
from .factories import make_image, make_model, make_preset, make_task

pytestmark = pytest.mark.django_db

TASKS = reverse("cms_ai_images:task-list")
READY = reverse("cms_ai_images:task-ready")


@pytest.fixture
def client(author: User) -> Client:
    client = Client()
    client.force_login(author)
    return client


@pytest.fixture
def curator(db: None) -> User:
    """May look at everybody's tasks."""
    return make_user("curator", "cms_ai_images.generate", "cms_ai_images.view_all_tasks")


def found(client: Client, **query: Any) -> list[str]:
    """The prompts of the tasks that a query finds."""
    answer = client.get(TASKS, query)
    assert answer.status_code == 200, answer.content
    return [task["prompt"] for task in answer.json()["results"]]


class TestFilters:
    def test_by_words_of_the_prompt(self, client, author):
        for prompt in ("A red fox\nin a library", "a red boat", "100% wool_", "ein Bär 🐻"):
            make_task(author, prompt=prompt)
        assert found(client, q="FOX red") == ["A red fox\nin a library"]
        assert found(client, q="red") == ["a red boat", "A red fox\nin a library"]
        assert found(client, q="%") == ["100% wool_"]
        assert found(client, q="wool_") == ["100% wool_"]
        assert found(client, q="🐻") == ["ein Bär 🐻"]
        assert found(client, q="' OR 1=1 --") == []
        assert len(found(client, q="  ")) == 4

    def test_by_id(self, client, author):
        task = make_task(author, prompt="this one")
        make_task(author)
        assert found(client, q=f" {task.uuid} ") == ["this one"]

    def test_by_style_model_and_state(self, client, author):
        preset = make_preset("pencil")
        make_task(author, prompt="styled", preset_version=preset.current_version)
        make_task(author, make_model("other"), prompt="of the other model")
        make_task(author, prompt="failed", status=Status.FAILED)
        assert found(client, preset="pencil") == ["styled"]
        assert found(client, model="other") == ["of the other model"]
        assert found(client, status="failed") == ["failed"]
        assert found(client, status="failed", model="other") == []
        assert found(client, preset="unknown") == []

    def test_by_day_both_included_in_the_sites_time_zone(self, client, author, settings):
        settings.TIME_ZONE = "Asia/Shanghai"
        timezone.get_default_timezone.cache_clear()
        try:
            for prompt, hour in (("the evening before", 15), ("the first minute", 16), ("the last hour", 39)):
                make_task(author, prompt=prompt, created_at=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hour))
            assert found(client, **{"from": "2026-03-02", "to": "2026-03-02"}) == ["the last hour", "the first minute"]
            assert found(client, to="2026-03-01") == ["the evening before"]
            assert found(client, **{"from": "2026-03-03"}) == []
        finally:
            settings.TIME_ZONE = "UTC"
            timezone.get_default_timezone.cache_clear()

    def test_pages_keep_the_filters(self, client, author):
        for number in range(22):
            make_task(author, prompt=f"fox {number}")
            make_task(author, prompt="a boat")
        first = client.get(TASKS, {"q": "fox"}).json()
        second = client.get(first["next"]).json()
        assert [len(page["results"]) for page in (first, second)] == [20, 2]
        assert all("fox" in task["prompt"] for task in second["results"])
        assert client.get(second["previous"]).json()["results"] == first["results"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("status", "lost"),
            ("preset", "no slug!"),
            ("model", "a b"),
            ("from", "yesterday"),
            ("to", "2026-13-01"),
            ("from", "0001-01-01"),
            ("to", "9999-12-31"),
            ("q", "x" * 201),
            ("q", "nul\x00"),
            ("user", "author"),
        ],
    )
    def test_a_bad_value_is_refused_at_its_field(self, client, name, value):
        answer = client.get(TASKS, {name: value})
        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["errors"][0]["field"] == name

    @pytest.mark.parametrize(("name", "value"), [("limit", "abc"), ("limit", "0"), ("limit", "101"), ("open", "maybe")])
    def test_a_bad_page_is_refused_at_its_field(self, client, name, value):
        answer = client.get(TASKS, {name: value})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, name)

    def test_a_page_is_as_long_as_was_read(self, client, author):
        for _ in range(2):
            make_task(author)
        assert len(found(client, limit="1.0")) == 1

    @pytest.mark.parametrize(
        ("name", "known"),
        [("task-list", "status"), ("task-ready", "origin"), ("task-detail", "wait"), ("health", "model")],
    )
    def test_a_misspelt_one_is_refused_and_told_what_there_is(self, client, author, name, known):
        """Passed over, it would find everything."""
        arguments = [make_task(author).uuid] if name == "task-detail" else []
        answer = client.get(reverse(f"cms_ai_images:{name}", args=arguments), {"statsu": "failed"})
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")
        assert answer.json()["errors"][0]["field"] == "statsu"
        assert known in answer.json()["detail"]

    def test_open_can_be_said_to_be_off(self, client, author):
        make_task(author, status=Status.CANCELLED)
        assert (len(found(client, open="0")), len(found(client, open="1")), len(found(client, open=""))) == (1, 0, 1)

    def test_an_empty_time_is_refused(self, client):
        answer = client.get(TASKS, {"from": "2026-03-02", "to": "2026-03-01"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "to")

    def test_an_empty_value_is_no_filter(self, client, author):
        make_task(author)
        assert len(found(client, q="", preset="", model="", status="", to="", user="", **{"from": ""})) == 1

    def test_queries_do_not_grow_with_what_is_found(self, client, author, django_assert_max_num_queries):
        preset = make_preset()
        for _ in range(20):
            make_image(task=make_task(author, status=Status.SUCCEEDED, preset_version=preset.current_version))
        query = {"q": "apple", "preset": "pencil", "model": "dummy", "status": "succeeded", "from": "2020-01-01"}
        with django_assert_max_num_queries(8):  # five of them tell who asks and what they may
            assert len(found(client, **query)) == 20


class TestEverybodys:
    def test_takes_a_permission(self, client, author, other_author):
        make_task(other_author)
        answer = client.get(TASKS, {"user": "all"})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
        assert answer.json()["errors"][0]["field"] == "user"
        assert found(client) == []

    @pytest.mark.local_files  # in S3 easy-thumbnails asks the database for each thumbnail
    def test_says_whose_a_task_is_and_keeps_drafts_private(self, curator, author, django_assert_max_num_queries):
        from cms_ai_images.library import intake

        User.objects.filter(pk=author.pk).update(first_name="Ada", last_name="Author")
        make_task(curator, prompt="my own")
        make_image(task=make_task(author, status=Status.SUCCEEDED, prompt="a draft of hers"))
        accepted = make_image(task=make_task(author, status=Status.SUCCEEDED, prompt="accepted"))
        intake.accept(accepted, PictureDetails())
        make_task(None, prompt="of somebody who left")
        client = Client()
        client.force_login(curator)
        client.get(TASKS, {"user": "all"})  # thumbnails of library files are made at first sight
        with django_assert_max_num_queries(14):  # each waiting one is asked for its place in the queue
            tasks = {task["prompt"]: task for task in client.get(TASKS, {"user": "all"}).json()["results"]}
        assert set(tasks) == {"my own", "a draft of hers", "accepted", "of somebody who left"}
        assert tasks["my own"]["user"] is None
        assert tasks["a draft of hers"]["user"] == {"id": author.pk, "name": "Ada Author"}
        (draft,) = tasks["a draft of hers"]["images"]
        assert [draft[key] for key in ("file_url", "preview_url", "download_url", "library")] == [None] * 4
        assert (
            tasks["accepted"]["images"][0]["library"]["filer_id"]
            == GenerationTask.objects.get(images=accepted).images.get().filer_image_id
        )
        assert found(client) == ["my own"]
        for name, key in (("image-file", draft["id"]), ("image-download", draft["id"])):
            assert client.get(reverse(f"cms_ai_images:{name}", args=[key])).status_code == 404
        assert client.get(tasks["accepted"]["url"]).status_code == 404

    def test_health_tells_who_may(self, client, curator):
        make_model()
        health = reverse("cms_ai_images:health")
        assert client.get(health).json()["may"] == {"high_priority": False, "see_all": False}
        client.force_login(curator)
        assert client.get(health).json()["may"] == {"high_priority": False, "see_all": True}


class TestReady:
    def test_counts_what_waits_to_be_looked_at_and_what_is_drawn(self, client, author, other_author):
        make_task(author)
        make_task(author, status=Status.RUNNING)
        make_task(author, status=Status.FAILED)
        make_image(author)
        two = make_task(author, status=Status.SUCCEEDED, num_images=2)
        make_image(task=two)
        make_image(task=two, index=1)
        make_image(author, review_state=ReviewState.DISCARDED)
        taken = make_task(author, status=Status.SUCCEEDED, num_images=2)
        make_image(task=taken)
        make_image(task=taken, index=1, review_state=ReviewState.ACCEPTED)
        make_image(task=make_task(author, status=Status.SUCCEEDED, created_at=timezone.now() - timedelta(days=2)))
        make_image(other_author)
        make_task(other_author)
        assert client.get(READY).json() == {"ready": 2, "drawing": 2, "fields": {"": 2}}

    def test_at_one_object_and_by_field(self, client, author):
        article = ContentType.objects.get_for_model(Article)
        here = {"origin_type": article, "origin_id": "7", "status": Status.SUCCEEDED}
        make_image(task=make_task(author, origin_field="body", **here))
        make_image(task=make_task(author, origin_field="hero_image", **here))
        make_image(task=make_task(author, origin_field="body", **{**here, "origin_id": "8"}))
        make_task(author, **{**here, "status": Status.QUEUED})
        numbers = client.get(READY, {"origin": "articles.article:7"}).json()
        assert numbers == {"ready": 2, "drawing": 1, "fields": {"body": 1, "hero_image": 1}}
        assert client.get(READY, {"origin": "articles.none:7"}).json() == {"ready": 0, "drawing": 0, "fields": {}}

    def test_is_one_query_however_many_there_are(self, client, author, django_assert_num_queries):
        for _ in range(5):
            make_image(author)
            make_task(author)
        client.get(READY, {"origin": "articles.article:7"})  # the content type is kept in memory
        with django_assert_num_queries(5):  # four of them tell who asks and what they may
            client.get(READY, {"origin": "articles.article:7"})

    def test_takes_the_permission(self, reader):
        client = Client()
        assert client.get(READY).status_code == 401
        client.force_login(reader)
        assert client.get(READY).status_code == 403
