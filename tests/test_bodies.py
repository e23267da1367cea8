"""Bodies that come in pieces, without a length."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from cms_ai_images.models import GenerationTask, ReferencePicture

from .factories import make_model, make_worker
from .test_api_streams import Server, server  # noqa: F401 - a fixture
from .test_references import png
from .test_tokens import bearer

TASKS = reverse("cms_ai_images:task-list")
REFERENCES = reverse("cms_ai_images:reference-list")
GENERATIONS = reverse("cms_ai_images:openai-generations")
ASKED = json.dumps({"prompt": "a fox in pieces"}).encode()
FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + png() + b"\r\n--x--\r\n"


def pieces(body: bytes) -> Iterator[bytes]:
    """As somebody sends them who does not know how many there will be."""
    for start in range(0, len(body), 7):
        yield body[start : start + 7]


@pytest.mark.django_db(transaction=True)
def test_under_asgi_they_are_read(server: Server, author: User) -> None:  # noqa: F811
    make_worker()
    make_model()
    headers = {"Host": "localhost", "Transfer-Encoding": "chunked", **bearer(author)}

    def send(path: str, body: bytes, content_type: str) -> tuple[int, Any]:
        client = HTTPConnection("127.0.0.1", server.port, timeout=60)
        client.request("POST", path, pieces(body), {**headers, "Content-Type": content_type}, encode_chunked=True)
        answer = client.getresponse()
        return answer.status, json.loads(answer.read())

    status, task = send(TASKS, ASKED, "application/json")
    assert (status, task.get("prompt")) == (202, "a fox in pieces"), task
    assert send(REFERENCES, FORM, "multipart/form-data; boundary=x")[0] == 201
    assert ReferencePicture.objects.get().width == 80
    too_long = json.dumps({"prompt": "x" * 3_000_000}).encode()
    for path, expected in ((TASKS, "request_too_large"), (GENERATIONS, "request_too_large")):
        status, problem = send(path, too_long, "application/json")
        assert (status, problem.get("code") or problem["error"]["code"]) == (413, expected)
    assert GenerationTask.objects.count() == 1


@pytest.mark.parametrize("path", [TASKS, REFERENCES, GENERATIONS])
def test_under_wsgi_a_length_is_asked_for(author: User, path: str) -> None:
    answer = Client().generic(
        "POST", path, b"", "application/json", headers={"Transfer-Encoding": "chunked", **bearer(author)}
    )
    problem = answer.json()
    assert (answer.status_code, problem.get("code") or problem["error"]["code"]) == (411, "length_required")
