"""What programs need of the API beside the dialog: repeating safely, waiting, polling cheaply, deleting, paging."""

from __future__ import annotations

import asyncio
import json
import zlib
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import AsyncClient, Client
from django.utils import timezone

from cms_ai_images import lifecycle, services
from cms_ai_images.exceptions import DraftGone
from cms_ai_images.library import drafts, naming
from cms_ai_images.library.intake import FOLDER, public_storage
from cms_ai_images.models import CreditAccount, GeneratedImage, GenerationTask, IdempotencyKey
from cms_ai_images.types import PictureDetails, Status

from .api import url
from .conftest import logged_in
from .factories import make_image, make_model, make_task, make_worker
from .test_lifecycle import claim
from .threads import at_once

AT_ONCE = 50


def post(client: Client, path: str, data: Any = None, key: str | None = None) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(path, json.dumps(data or {}), content_type="application/json", headers=headers)


@pytest.fixture
def model(db: None) -> Any:
    make_worker()
    return make_model(prices={"text_to_image": {"standard": 10}})


@pytest.fixture
def client(author: User) -> Client:
    return logged_in(author)


class TestIdempotencyKey:
    def test_the_same_key_leads_to_the_same_task(self, client: Client, model: Any) -> None:
        first = post(client, url("task-list"), {"prompt": "a fox"}, "one")
        second = post(client, url("task-list"), {"prompt": "a fox", "num_images": 1}, "one")  # says no more
        assert (first.status_code, second.status_code) == (202, 202)
        assert first["Location"] == second["Location"] == first.json()["url"]
        assert ("Idempotency-Replayed" in first, second["Idempotency-Replayed"]) == (False, "true")
        assert GenerationTask.objects.count() == 1
        assert post(client, url("task-list"), {"prompt": "a fox"}, "two").json()["id"] != first.json()["id"]

    def test_another_request_is_refused(self, client: Client, model: Any) -> None:
        post(client, url("task-list"), {"prompt": "a fox"}, "one")
        response = post(client, url("task-list"), {"prompt": "a dog"}, "one")
        assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
        assert response.json()["errors"][0]["field"] == "Idempotency-Key"
        assert GenerationTask.objects.count() == 1

    def test_a_refused_request_leaves_no_key(self, client: Client, model: Any, settings: Any) -> None:
        settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "CREDITS": True}
        assert post(client, url("task-list"), {"prompt": "a fox"}, "one").status_code == 402
        assert not IdempotencyKey.objects.exists()
        CreditAccount.objects.update_or_create(user=User.objects.get(), defaults={"balance": 100})
        assert post(client, url("task-list"), {"prompt": "a fox"}, "one").status_code == 202

    def test_keys_are_each_users_own(self, client: Client, other_author: User, model: Any) -> None:
        post(client, url("task-list"), {"prompt": "a fox"}, "one")
        assert post(logged_in(other_author), url("task-list"), {"prompt": "a dog"}, "one").status_code == 202
        assert GenerationTask.objects.count() == 2

    def test_a_key_is_kept_for_a_day(self, client: Client, model: Any) -> None:
        post(client, url("task-list"), {"prompt": "a fox"}, "one")
        post(client, url("task-list"), {"prompt": "a fox"}, "other")
        IdempotencyKey.objects.filter(key="one").update(created_at=timezone.now() - timedelta(hours=25))
        assert post(client, url("task-list"), {"prompt": "a dog"}, "one").status_code == 202
        IdempotencyKey.objects.filter(key="one").update(created_at=timezone.now() - timedelta(hours=25))
        call_command("ai_images_purge")
        assert [key.key for key in IdempotencyKey.objects.all()] == ["other"]

    @pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9", "in two"])
    def test_what_is_no_key_is_refused(self, client: Client, model: Any, key: str) -> None:
        response = post(client, url("task-list"), {"prompt": "a fox"}, key)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "Idempotency-Key")
        assert not GenerationTask.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", [None, 7])
def test_the_same_key_many_times_at_once_gives_one_task(author: User, settings: Any, seed: int | None) -> None:
    """On SQLite, where they queue for the database, and on PostgreSQL, where they meet at the index."""
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "CREDITS": True}
    make_worker()
    make_model(prices={"text_to_image": {"standard": 10}})
    CreditAccount.objects.update_or_create(user=author, defaults={"balance": 1000})
    clients = [logged_in(author) for _ in range(AT_ONCE)]
    asked = {"prompt": "a fox", "seed": seed}
    answers = at_once([lambda client=client: post(client, url("task-list"), asked, "one") for client in clients])
    task = GenerationTask.objects.get()
    assert [(answer.status_code, answer.json().get("id")) for answer in answers] == [(202, str(task.uuid))] * AT_ONCE
    assert CreditAccount.objects.get(user=author).balance == 990


class TestDelete:
    def test_takes_the_task_and_its_drafts(self, client: Client, author: User, django_capture_on_commit_callbacks: Any):
        image = make_image(author)
        key = image.file.name
        with django_capture_on_commit_callbacks(execute=True):
            assert client.delete(url("task-detail", image.task.uuid)).status_code == 204
        assert not drafts.draft_storage().exists(key)
        assert not drafts.draft_storage().exists(drafts.preview_key(key))
        assert not GeneratedImage.objects.exists()
        assert client.get(url("task-detail", image.task.uuid)).status_code == 404
        assert client.delete(url("task-detail", image.task.uuid)).status_code == 404

    def test_leaves_the_library_and_the_trail(self, client: Client, author: User) -> None:
        from filer.models import Image

        from cms_ai_images.models import AuditEntry

        image = make_image(author)
        library_file = services.accept(author, image, PictureDetails())
        assert client.delete(url("task-detail", image.task.uuid)).status_code == 204
        assert Image.objects.get().pk == library_file.pk
        assert library_file.file.storage.exists(library_file.file.name)
        entry = AuditEntry.objects.filter(action="deleted").get()
        assert (entry.object_id, entry.actor) == (str(image.task.uuid), author)

    def test_a_waiting_one_is_cancelled_and_its_points_come_back(
        self, client: Client, author: User, model: Any, settings: Any
    ) -> None:
        settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "CREDITS": True}
        CreditAccount.objects.update_or_create(user=author, defaults={"balance": 100})
        task = post(client, url("task-list"), {"prompt": "a fox"}).json()
        assert CreditAccount.objects.get(user=author).balance == 90
        assert client.delete(task["url"]).status_code == 204
        assert CreditAccount.objects.get(user=author).balance == 100
        assert not GenerationTask.objects.exists()

    @pytest.mark.parametrize("are_bytes_left", [True, False])
    def test_a_picture_that_is_accepted_at_that_moment_is_gone(
        self, author: User, django_capture_on_commit_callbacks: Any, are_bytes_left: bool
    ) -> None:
        image = make_image(author)
        with django_capture_on_commit_callbacks(execute=not are_bytes_left):
            services.delete(author, image.task)
        with pytest.raises(DraftGone):
            services.accept(author, image, PictureDetails())
        name = f"{FOLDER}/{image.task.created_at:%Y/%m}/{naming.file_name(image)}"
        assert not public_storage().exists(name)  # the copy was taken back

    def test_a_running_one_is_in_use(self, client: Client, author: User) -> None:
        task = make_task(author, status=Status.RUNNING)
        response = client.delete(url("task-detail", task.uuid))
        assert (response.status_code, response.json()["code"]) == (409, "state_conflict")
        assert GenerationTask.objects.filter(pk=task.pk, status=Status.RUNNING).exists()

    def test_nobody_deletes_somebody_elses(self, other_author: User, author: User) -> None:
        task = make_task(author, status=Status.FAILED)
        client = Client()
        client.force_login(other_author)
        assert client.delete(url("task-detail", task.uuid)).status_code == 404
        assert GenerationTask.objects.exists()


class TestPolling:
    @pytest.mark.parametrize("name", ["task-detail", "task-list", "model-list"])
    def test_what_has_not_changed_is_told_in_a_few_bytes(self, client: Client, author: User, name: str) -> None:
        task = make_task(author)
        path = url(name, task.uuid) if name == "task-detail" else url(name)
        first = client.get(path)
        assert first["Cache-Control"] == "private, no-cache"
        assert {"Authorization", "Cookie", "Accept-Language"} <= {part.strip() for part in first["Vary"].split(",")}
        again = client.get(path, headers={"If-None-Match": first["ETag"]})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])

    def test_what_has_is_told(self, client: Client, author: User) -> None:
        task = make_task(author)
        before = client.get(url("task-detail", task.uuid))["ETag"]
        claim(task)
        after = client.get(url("task-detail", task.uuid), headers={"If-None-Match": before})
        assert (after.status_code, after.json()["status"]) == (200, "running")
        assert after["ETag"] != before

    def test_errors_are_not_compared(self, client: Client) -> None:
        response = client.get(url("task-detail", "00000000-0000-0000-0000-000000000000"))
        assert "ETag" not in response


class TestPaging:
    def test_as_many_as_are_asked_for(self, client: Client, author: User) -> None:
        for _ in range(5):
            make_task(author)
        page = client.get(url("task-list"), {"limit": 2}).json()
        assert len(page["results"]) == 2
        assert len(client.get(page["next"]).json()["results"]) == 2

    def test_tasks_that_come_meanwhile_shift_nothing(self, client: Client, author: User) -> None:
        tasks = [make_task(author) for _ in range(4)]
        first = client.get(url("task-list"), {"limit": 2}).json()
        make_task(author)
        second = client.get(first["next"]).json()
        listed = [task["id"] for task in first["results"] + second["results"]]
        assert listed == [str(task.uuid) for task in reversed(tasks)]

    @pytest.mark.parametrize("cursor", ["x", b64encode(b"p=abc"), b64encode(b"p=" + b"9" * 30), b64encode(b"o=-1")])
    def test_a_cursor_of_ones_own_making_is_refused(self, client: Client, cursor: Any) -> None:
        response = client.get(url("task-list"), {"cursor": cursor})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "cursor")

    def test_by_operation(self, client: Client, author: User) -> None:
        make_task(author)
        wanted = make_task(author, operation="upscale")
        found = client.get(url("task-list"), {"operation": "upscale"}).json()["results"]
        assert [task["id"] for task in found] == [str(wanted.uuid)]


class TestBodies:
    def test_one_that_is_too_long_is_not_read(self, client: Client, settings: Any) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
        response = post(client, url("task-list"), {"prompt": "x" * 1000})
        assert (response.status_code, response.json()["code"]) == (413, "request_too_large")

    def test_what_is_no_json_is_not_taken(self, client: Client) -> None:
        response = client.post(url("task-list"), {"prompt": "a fox"})
        assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
        response = client.post(url("task-list"), '{"prompt": NaN}', content_type="application/json")
        assert (response.status_code, response.json()["code"]) == (400, "parse_error")
        response = client.post(url("task-list"), "[" * 100_000, content_type="application/json")
        assert (response.status_code, response.json()["code"]) == (400, "parse_error")

    def test_is_read_as_utf8_whatever_it_is_said_to_be(self, client: Client, settings: Any) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
        packed = zlib.compress(json.dumps({"prompt": "x" * 1_000_000}).encode())
        response = client.generic("POST", url("task-list"), packed[:1000], "application/json; charset=zlib")
        assert (response.status_code, response.json()["code"]) == (400, "parse_error")
        assert "utf-8" in response.json()["detail"]

    def test_there_is_json_whatever_is_accepted(self, client: Client) -> None:
        response = client.get(url("model-list") + "?format=xml", headers={"Accept": "text/html"})
        assert (response.status_code, response["Content-Type"]) == (200, "application/json")


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
class TestWaiting:
    """Under ASGI the body comes when the task has ended."""

    async def client(self, user: User) -> AsyncClient:
        client = AsyncClient()
        await sync_to_async(client.force_login)(user)
        return client

    async def test_until_the_task_has_ended(self, author: User) -> None:
        task = await sync_to_async(make_task)(author)
        client = await self.client(author)
        response = await client.get(url("task-detail", task.uuid), {"wait": 60})
        assert (response.status_code, response["Content-Type"]) == (200, "application/json")
        chunks = aiter(response.streaming_content)
        assert await anext(chunks) == b"\n"  # subscribed, and nothing has happened
        fence = await sync_to_async(claim)(task)
        assert await anext(chunks) == b"\n"
        await sync_to_async(lifecycle.transition)(task, Status.SUCCEEDED, fence=fence)
        rest = b"".join([chunk async for chunk in chunks])
        assert json.loads(rest)["status"] == "succeeded"

    async def test_a_new_task_is_told_at_once_where_it_is(self, author: User) -> None:
        await sync_to_async(make_worker)()
        await sync_to_async(make_model)()
        client = await self.client(author)
        path = url("task-list") + "?wait=60"
        response = await client.post(path, json.dumps({"prompt": "a fox"}), content_type="application/json")
        task = await GenerationTask.objects.aget()
        assert (response.status_code, response["Location"]) == (202, url("task-detail", task.uuid))
        chunks = aiter(response.streaming_content)
        assert await anext(chunks) == b"\n"
        await sync_to_async(services.cancel)(author, task)
        assert json.loads(b"".join([chunk async for chunk in chunks]))["status"] == "cancelled"

    async def test_not_longer_than_asked_for(self, author: User) -> None:
        task = await sync_to_async(make_task)(author)
        client = await self.client(author)
        response = await client.get(url("task-detail", task.uuid), {"wait": 1})
        async with asyncio.timeout(30):
            body = b"".join([chunk async for chunk in response.streaming_content])
        assert json.loads(body)["status"] == "queued"

    async def test_a_task_that_is_deleted_meanwhile(self, author: User) -> None:
        task = await sync_to_async(make_task)(author)
        client = await self.client(author)
        chunks = aiter((await client.get(url("task-detail", task.uuid), {"wait": 60})).streaming_content)
        assert await anext(chunks) == b"\n"
        await sync_to_async(services.delete)(author, task)
        assert json.loads(b"".join([chunk async for chunk in chunks]))["status"] == "queued"

    async def test_what_has_ended_is_told_at_once_and_can_be_compared(self, author: User) -> None:
        task = await sync_to_async(make_task)(author, status=Status.FAILED)
        client = await self.client(author)
        response = await client.get(url("task-detail", task.uuid), {"wait": 60})
        assert not response.streaming and response["ETag"]

    @pytest.mark.parametrize("wait", ["-1", "61", "soon", "1.5"])
    async def test_times_that_cannot_be(self, author: User, wait: str) -> None:
        task = await sync_to_async(make_task)(author)
        response = await (await self.client(author)).get(url("task-detail", task.uuid), {"wait": wait})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "wait")


def test_under_wsgi_nobody_waits(client: Client, author: User) -> None:
    response = client.get(url("task-detail", make_task(author).uuid), {"wait": 60})
    assert (response.status_code, response.streaming, response.json()["status"]) == (200, False, "queued")


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
class TestLastEventID:
    async def first(self, client: AsyncClient, task: GenerationTask, **headers: str) -> tuple[int, str, str]:
        """Status, data and id of the first event."""
        response = await client.get(url("task-events", task.uuid), headers=headers)
        if response.status_code != 200:
            return response.status_code, "", ""
        chunk = (await anext(aiter(response.streaming_content))).decode()
        fields = dict(line.split(": ", 1) for line in chunk.strip().splitlines())
        assert fields["event"] == "task"
        return response.status_code, fields["data"], fields["id"]

    async def test_the_state_comes_first_and_its_id_changes_with_it(self, author: User) -> None:
        task = await sync_to_async(make_task)(author)
        client = AsyncClient()
        await sync_to_async(client.force_login)(author)
        _status, data, queued = await self.first(client, task)
        assert json.loads(data)["status"] == "queued"
        again = await self.first(client, task, **{"Last-Event-ID": queued})
        assert again[::2] == (200, queued)
        fence = await sync_to_async(claim)(task)
        _status, data, running = await self.first(client, task, **{"Last-Event-ID": queued})
        assert json.loads(data)["status"] == "running" and running != queued
        await sync_to_async(lifecycle.transition)(task, Status.SUCCEEDED, fence=fence)
        _status, data, ended = await self.first(client, task, **{"Last-Event-ID": running})
        assert json.loads(data)["status"] == "succeeded"
        assert (await self.first(client, task, **{"Last-Event-ID": ended}))[0] == 204  # and the browser stops
