"""Pictures to start from, as a program or the dialog brings them: shown, drawn from, deleted, refused."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from cms_ai_images.library import references
from cms_ai_images.models import GenerationModel, GenerationTask, ReferencePicture
from cms_ai_images.types import Status

from .api import post, url
from .conftest import logged_in
from .factories import make_picture_model, make_task
from .pictures import SLANT, filer_image, png

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(db: None) -> GenerationModel:
    return make_picture_model()


@pytest.fixture
def client(author: Any) -> Client:
    return logged_in(author)


def bring(client: Client, data: bytes, name: str = "slant.png") -> Any:
    return client.post(url("reference-list"), {"file": SimpleUploadedFile(name, data)})


def test_picture_is_brought_shown_drawn_from_and_deleted(client, author, model):
    answer = bring(client, png(), "holiday.exe")
    assert (answer.status_code, answer["Location"]) == (201, answer.json()["url"])
    shown = client.get(answer["Location"]).json()
    assert shown == answer.json()
    assert (shown["width"], shown["height"]) == (80, 40)
    file = client.get(shown["file_url"])
    assert (file["Content-Type"], file["X-Content-Type-Options"]) == ("image/webp", "nosniff")
    assert Image.open(BytesIO(file.content)).size == (80, 40)

    body = {"prompt": "a fox", "operation": "image_to_image", "references": [{"upload": shown["id"]}], "strength": 0.4}
    task = post(client, url("task-list"), body)
    assert task.status_code == 202, task.content
    assert (task.json()["references"], task.json()["strength"]) == ([{"upload": shown["id"]}], 0.4)
    assert client.delete(shown["url"]).json()["code"] == "reference_in_use"
    GenerationTask.objects.update(status=Status.SUCCEEDED)
    assert client.delete(shown["url"]).status_code == 204
    assert client.get(shown["url"]).status_code == 404


def test_task_names_its_pictures_as_the_request_did(client, author, model):
    library = filer_image(owner=author).pk
    upload = str(references.keep(author, png(SLANT.rotate(180))).uuid)
    for brought in ([{"library": library}], [{"upload": upload}]):
        body = {"prompt": "a fox", "operation": "image_to_image", "references": brought, "seed": 1}
        answer = post(client, url("task-list"), body)
        assert answer.json()["references"] == brought
        body["references"] = answer.json()["references"]
        again = post(client, url("task-list"), body)
        assert again.json()["id"] == answer.json()["id"]


def test_pictures_of_others_are_not_there(client, other_author):
    reference = references.keep(other_author, png())
    for name in ("reference-detail", "reference-file"):
        assert client.get(url(name, reference.uuid)).status_code == 404
    assert client.delete(url("reference-detail", reference.uuid)).status_code == 404
    assert ReferencePicture.objects.count() == 1


def test_who_may_not_generate_brings_nothing(reader):
    assert bring(Client(), png()).status_code == 401
    assert bring(logged_in(reader), png()).status_code == 403
    assert ReferencePicture.objects.count() == 0


def test_form_needs_its_token(author):
    client = Client(enforce_csrf_checks=True)
    client.force_login(author)
    assert bring(client, png()).status_code == 403


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [(b"", 422, "upload_not_a_picture"), (b"<svg/>", 422, "upload_not_a_picture")],
)
def test_what_is_no_picture_is_refused_with_its_field(client, data, status, code):
    answer = bring(client, data)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert (answer.json()["code"], answer.json()["errors"][0]["field"]) == (code, "file")


def test_large_body_is_refused_before_it_is_read(client, settings):
    settings.CMS_AI_IMAGES = {"UPLOAD_MAX_MIB": 1}
    address = url("reference-list")
    answer = client.generic("POST", address, b"unread", content_type="multipart/form-data", CONTENT_LENGTH=str(2**21))
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert bring(client, bytes(2**20 + 1)).json()["code"] == "upload_too_large"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "multipart/form-data", 400),
        (b"", "multipart/form-data; boundary=x", 400),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x", 400),
        (
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nno file\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            400,
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n' + bytes(3_000_000) + b"\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
            413,
        ),
        (b"{}", "application/json", 415),
        (b"a=b", "application/x-www-form-urlencoded", 415),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_form_that_cannot_be_read_is_said(client, author, body, content_type, status):
    address = url("reference-list")
    for each in (client, Client(enforce_csrf_checks=True)):  # with CSRF checks, Django reads the form before we do
        each.force_login(author)
        each.cookies["csrftoken"] = "a" * 32
        answer = each.post(address, body, content_type=content_type, headers={"X-CSRFToken": "a" * 32})
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")


@pytest.mark.parametrize(
    "brought",
    [
        [{}],
        [{"upload": "x"}],
        [{"upload": str(uuid4()), "library": 1}],
        [{"library": -1}],
        [{"library": 2**70}],
        [{"path": "/etc/passwd"}],
        ["x"],
        "x",
        [{"library": 1}] * 9,
        [{"url": "https://example.org/" + "a" * 2000}],
    ],
)
def test_reference_of_the_wrong_shape_is_refused(client, model, brought):
    body = {"prompt": "a fox", "operation": "image_to_image", "references": brought}
    answer = post(client, url("task-list"), body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith("references")


def test_old_tasks_without_these_words_are_still_shown(client, author):
    task = make_task(author)
    for values in (task.parameters, task.request):
        values.pop("strength", None), values.pop("references", None)
    task.save()
    shown = client.get(url("task-detail", task.uuid)).json()
    assert (shown["strength"], shown["references"]) == (None, [])
    assert task.generation_parameters.references == ()
