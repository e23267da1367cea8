"""The endpoint for clients of the OpenAI images API, asked by the official one: a live server, a real worker."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from unittest import mock
from uuid import UUID

import openai
import pytest
import redis
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.signing import TimestampSigner
from django.db import connection
from django.test import AsyncClient, Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from cms_ai_images import lifecycle, tokens
from cms_ai_images.api.openai import errors
from cms_ai_images.exceptions import known
from cms_ai_images.models import CreditAccount, GenerationTask
from cms_ai_images.models.tokens import Scope
from cms_ai_images.types import ReviewState, Status

from .factories import make_image, make_model, make_task, make_worker
from .live import LiveSite, live_site
from .test_lifecycle import claim

GENERATIONS = "/ai-images/openai/v1/images/generations"


def picture(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


# -- The official client -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site() -> Iterator[LiveSite]:
    with live_site() as site:
        yield site


@pytest.fixture(scope="module")
def client_of(site: LiveSite) -> Any:
    def client_of(key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{site.url}/ai-images/openai/v1", api_key=key)

    return client_of


@pytest.fixture(scope="module")
def official(site: LiveSite, client_of: Any) -> openai.OpenAI:
    return client_of(site.token())


def task_of(site: LiveSite, answer: Any) -> dict[str, Any]:
    """The task that an answer tells of, as the site's database has it."""
    row = site.query(
        "SELECT status, parameters FROM cms_ai_images_generationtask WHERE uuid = ?", UUID(answer.task).hex
    )[0]
    parameters = row[1] if isinstance(row[1], dict) else json.loads(row[1])  # SQLite gives text
    return {"status": row[0], **parameters}


def stop_drawing(site: LiveSite) -> None:
    """The tests that follow need the worker."""
    site.execute("UPDATE cms_ai_images_generationtask SET cancel_requested_at = '2026-01-01' WHERE status = 'running'")


def test_pictures_come_as_base64(site: LiveSite, official: openai.OpenAI) -> None:
    answer = official.images.generate(prompt="a red fox", model="quick", n=2, size="768x512", user="somebody")
    assert answer.data is not None
    pictures = [picture(base64.b64decode(image.b64_json or "")) for image in answer.data]
    assert [(image.format, image.size) for image in pictures] == [("PNG", (768, 512))] * 2
    assert [image.url for image in answer.data] == [None, None]
    assert (answer.size, answer.output_format, answer.background) == ("768x512", "png", "opaque")
    assert timezone.now().timestamp() - 60 < answer.created <= timezone.now().timestamp()
    assert {**task_of(site, answer), "seed": 0} == {
        **task_of(site, answer),
        "status": "succeeded",
        "prompt": "a red fox",
        "num_images": 2,
        "seed": 0,
    }


def test_pictures_come_as_addresses_that_need_no_key(site: LiveSite, official: openai.OpenAI) -> None:
    answer = official.images.generate(prompt="a red fox", response_format="url", output_format="webp", size="auto")
    assert answer.data is not None and answer.data[0].b64_json is None
    url = str(answer.data[0].url)
    assert url.startswith(f"{site.url}/ai-images/openai/v1/files/")
    with urllib.request.urlopen(url) as response:  # noqa: S310
        assert picture(response.read()).format == "WEBP"
        assert (response.headers["Content-Type"], response.headers["Cache-Control"]) == (
            "image/webp",
            "private, max-age=86400, immutable",
        )
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{url}x")  # noqa: S310


def test_the_first_model_and_the_first_size_are_the_default(site: LiveSite, official: openai.OpenAI) -> None:
    answer = official.images.generate(prompt="a red fox")
    assert (answer.size, task_of(site, answer)["num_images"]) == ("512x512", 1)


def test_what_only_we_have_can_be_asked_for(site: LiveSite, official: openai.OpenAI) -> None:
    extra = {"seed": 7, "steps": 3, "preset": "pencil-sketch"}
    first = official.images.generate(prompt="a red fox", extra_body=extra)
    again = official.images.generate(prompt="a red fox", extra_body=extra)
    assert task_of(site, first)["prompt"] == "a pencil sketch of a red fox"
    assert (task_of(site, first)["seed"], task_of(site, first)["steps"]) == (7, 3)
    assert first == again, "the same request with the same seed is the same task"


@pytest.mark.parametrize("quality", ["standard", "hd", "low", "medium", "high", "auto"])
def test_qualities_that_a_model_does_not_have_mean_the_standard_one(official: openai.OpenAI, quality: Any) -> None:
    assert official.images.generate(prompt="a red fox", quality=quality).quality == "standard"


def test_models_are_listed_with_other_names(official: openai.OpenAI) -> None:
    names = [model.id for model in official.models.list()]
    assert names == ["dall-e-3", "quick", "slow", "endless", "broken"]
    assert official.models.retrieve("quick").object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        official.models.retrieve("unheard-of")
    assert caught.value.code == "model_not_found"


def test_a_model_can_have_another_name(site: LiveSite, official: openai.OpenAI) -> None:
    assert task_of(site, official.images.generate(prompt="a red fox", model="dall-e-3"))["status"] == "succeeded"


def test_the_asynchronous_client_waits_beside_others(site: LiveSite) -> None:
    async def ask() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{site.url}/ai-images/openai/v1", api_key=site.token()) as official:
            return await asyncio.gather(*(official.images.generate(prompt=f"fox {n}") for n in range(6)))

    assert len({answer.task for answer in asyncio.run(ask())}) == 6


@pytest.mark.parametrize(
    ("asked", "param", "code"),
    [
        ({"prompt": "  "}, "prompt", "prompt_empty"),
        ({"size": "111x112"}, "size", "size_not_supported"),
        ({"size": "large"}, "size", "invalid"),
        ({"n": 0}, "n", "parameter_out_of_range"),
        ({"n": 99}, "n", "parameter_out_of_range"),
        ({"quality": "cheap"}, "quality", "quality_not_offered"),
        ({"background": "transparent"}, "background", "invalid_choice"),
        ({"output_format": "gif"}, "output_format", "invalid_choice"),
        ({"response_format": "jpeg"}, "response_format", "invalid_choice"),
        ({"stream": True}, "stream", "unsupported_value"),
        ({"extra_body": {"seed": -1}}, "seed", "parameter_out_of_range"),
    ],
    ids=str,
)
def test_wrong_inputs_are_named(site: LiveSite, official: openai.OpenAI, asked: Any, param: str, code: str) -> None:
    before = site.count_tasks()
    with pytest.raises(openai.BadRequestError) as caught:
        official.images.generate(**{"prompt": "a red fox", **asked})
    error = caught.value
    assert (error.param, error.code, error.type) == (param, code, "invalid_request_error")
    assert error.body["message"]  # type: ignore[index]
    assert site.count_tasks() == before


@pytest.mark.parametrize("model", ["unheard-of", "gone"])
def test_a_model_that_is_not_there(official: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        official.images.generate(prompt="a red fox", model=model)
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


@pytest.mark.parametrize("key", ["aii_wrong", "sk-proj-abc", "a" * 4000], ids=len)
def test_a_wrong_key(client_of: Any, key: str) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        client_of(key).images.generate(prompt="a red fox")
    assert caught.value.code == "invalid_api_key"
    assert caught.value.response.headers["WWW-Authenticate"].startswith("Bearer")


def test_whoever_may_not_generate(site: LiveSite, client_of: Any) -> None:
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client_of(site.token("reader")).images.generate(prompt="a red fox")
    assert (caught.value.code, caught.value.type) == ("not_permitted", "permission_error")
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client_of(site.token("editor", "read")).images.generate(prompt="a red fox")
    assert caught.value.code == "scope_missing"


def test_what_fails_is_not_repeated_by_the_client(site: LiveSite, official: openai.OpenAI) -> None:
    before = site.count_tasks()
    with pytest.raises(openai.InternalServerError) as caught:
        official.images.generate(prompt="a red fox", model="broken")
    assert (caught.value.status_code, caught.value.code) == (500, "model_files_missing")
    assert "An administrator must mend it." in caught.value.body["message"]  # type: ignore[index]
    assert site.count_tasks() == before + 1


def test_what_takes_too_long_stays_in_the_history(site: LiveSite, official: openai.OpenAI) -> None:
    before = site.count_tasks()
    with pytest.raises(openai.APIStatusError) as caught:
        official.images.generate(prompt="a red fox", model="endless", extra_body={"steps": 100})
    assert (caught.value.status_code, caught.value.code) == (504, "still_drawing")
    assert site.count_tasks() == before + 1
    uuid, status = site.query("SELECT uuid, status FROM cms_ai_images_generationtask ORDER BY id DESC LIMIT 1")[0]
    assert str(UUID(str(uuid))) in caught.value.body["message"]  # type: ignore[index]
    assert status == "running"
    stop_drawing(site)


def test_whoever_goes_away_loses_nothing(site: LiveSite, official: openai.OpenAI) -> None:
    before = site.count_tasks()
    with pytest.raises(openai.APITimeoutError):
        official.with_options(timeout=2, max_retries=0).images.generate(prompt="a red fox", model="slow")
    assert site.count_tasks() == before + 1
    stop_drawing(site)
    key = {"Idempotency-Key": "one"}
    patient = official.images.generate(prompt="a patient fox", extra_headers=key)
    assert official.images.generate(prompt="a patient fox", extra_headers=key).task == patient.task


# -- Without a server --------------------------------------------------------------------------------------------------


@pytest.fixture
def living(db: None) -> None:
    make_model(qualities={"high": {"steps": 4}})
    make_worker()


def bearer(user: User, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue(user, 'a script', scopes=scopes or Scope.values)[1]}"}


def post(client: Client, data: Any, headers: dict[str, str]) -> Any:
    body = data if isinstance(data, bytes) else json.dumps(data)
    return client.post(GENERATIONS, body, content_type="application/json", headers=headers)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000], ids=lambda body: repr(body[:9]))
def test_a_body_that_is_no_request(living: None, author: User, client: Client, body: bytes) -> None:
    response = post(client, body, bearer(author))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid")


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_what_is_no_idempotency_key_is_refused(living: None, author: User, client: Client, key: str) -> None:
    response = post(client, {"prompt": "a fox"}, {**bearer(author), "Idempotency-Key": key})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid", "Idempotency-Key")


def test_a_body_that_is_too_large(living: None, author: User, client: Client) -> None:
    response = post(client, {"prompt": "a" * 3_000_000}, bearer(author))
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (413, "request_too_large")
    assert error["message"] == "This request is longer than 2621440 bytes."


def test_a_session_is_no_key(living: None, author: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(author)
    response = post(client, {"prompt": "a red fox"}, {})
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    assert not GenerationTask.objects.exists()


@pytest.mark.parametrize("path", ["", "images/edits", "images/variations", "chat/completions", "a%0Ab"])
def test_what_else_that_api_has_is_not_here(client: Client, path: str) -> None:
    response = client.post(f"/ai-images/openai/v1/{path}")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_methods_that_are_not_there(client: Client) -> None:
    response = client.get(GENERATIONS)
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert response.json()["error"]["code"] == "method_not_allowed"


def test_too_few_points(living: None, author: User, client: Client, settings: Any) -> None:
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "CREDITS": True}
    CreditAccount.objects.create(user=author, balance=1)
    make_model("dear", prices={"text_to_image": {"standard": 30}})
    response = post(client, {"prompt": "a red fox", "model": "dear"}, bearer(author))
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (402, "insufficient_quota", "insufficient_quota")
    assert response["x-should-retry"] == "false"


def test_too_many_requests_say_when_to_come_again(living: None, author: User, client: Client, settings: Any) -> None:
    settings.CMS_AI_IMAGES = {"LIMITS": {"requests_per_minute": 1}, "OPENAI_WAIT_SECONDS": 0.01}
    headers = bearer(author)
    assert post(client, {"prompt": "a red fox"}, headers).status_code == 504
    response = post(client, {"prompt": "a red fox"}, headers)
    assert (response.status_code, response.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 0 < int(response["Retry-After"]) <= 60
    assert response["x-should-retry"] == "true"


def test_no_worker(author: User, client: Client) -> None:
    make_model()
    response = post(client, {"prompt": "a red fox"}, bearer(author))
    assert (response.status_code, response.json()["error"]["code"]) == (503, "no_worker")
    assert response["Retry-After"]


@pytest.mark.parametrize(("word", "meant"), [("hd", "high"), ("high", "high"), ("max", "high"), ("low", "standard")])
def test_qualities(living: None, author: User, client: Client, settings: Any, word: str, meant: str) -> None:
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "OPENAI_WAIT_SECONDS": 0.01}
    assert post(client, {"prompt": "a red fox", "quality": word}, bearer(author)).status_code == 504
    task = GenerationTask.objects.get()
    assert (task.request["quality"], task.parameters["steps"]) == (meant, 4 if meant == "high" else 2)


def test_what_the_models_own_check_withholds_is_the_requests_fault(author: User) -> None:
    task = make_task(author, status=Status.FAILED, error_code="picture_withheld")
    response = errors.failed_response(task)
    assert response.status_code == 400
    assert json.loads(response.content)["error"]["code"] == "content_policy_violation"


@pytest.mark.parametrize("error", known(), ids=lambda error: error.code)
def test_every_error_has_an_answer(db: None, error: Any) -> None:
    task = make_task(status=Status.FAILED, error_code=error.code, error_message="in the worker's words")
    data = json.loads(errors.failed_response(task).content)["error"]
    assert set(data) == {"message", "type", "param", "code"}
    assert data["message"] and data["code"]


class TestSignedAddresses:
    def url(self, image: Any, signer: TimestampSigner | None = None) -> str:
        signer = signer or TimestampSigner(salt="cms_ai_images.openai")
        return reverse("cms_ai_images:openai-file", args=[signer.sign(str(image.uuid))])

    def test_one_works_for_an_hour(self, author: User, client: Client) -> None:
        image = make_image(author)
        with mock.patch("time.time", return_value=timezone.now().timestamp() - 3590):
            fresh = self.url(image)
        with mock.patch("time.time", return_value=timezone.now().timestamp() - 3610):
            stale = self.url(image)
        assert client.get(fresh).status_code == 200
        assert client.get(stale).status_code == 404

    def test_nobody_else_makes_one(self, author: User, client: Client) -> None:
        image = make_image(author)
        assert client.get(self.url(image, TimestampSigner(salt="another"))).status_code == 404
        assert client.get(self.url(image, TimestampSigner(key="guessed"))).status_code == 404
        assert client.get(reverse("cms_ai_images:openai-file", args=[str(image.uuid)])).status_code == 404

    def test_a_picture_that_was_thrown_away_is_gone(self, author: User, client: Client) -> None:
        image = make_image(author, review_state=ReviewState.DISCARDED)
        assert client.get(self.url(image)).status_code == 410


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_waiting_keeps_no_connection_and_no_thread(author: User, valkey: redis.Redis, settings: Any) -> None:
    # WhiteNoise knows no coroutines, so Django gives each request that passes it a thread for as long as it takes.
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "whitenoise" not in name]
    await sync_to_async(make_model)()
    await sync_to_async(make_worker)()
    headers = await sync_to_async(bearer)(author)
    client = AsyncClient()
    waiting = asyncio.create_task(
        client.post(GENERATIONS, {"prompt": "a red fox"}, content_type="application/json", headers=headers)
    )
    while not valkey.pubsub_channels():
        assert not waiting.done(), (await waiting).content
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)  # it has looked at the row once more
    assert await sync_to_async(lambda: connection.connection)() is None
    task = await GenerationTask.objects.aget()
    fence = await sync_to_async(claim)(task)
    assert await sync_to_async(lifecycle.transition)(task, Status.CANCELLED, fence=fence)
    response = await asyncio.wait_for(waiting, 15)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "cancelled")
