"""What operators see of the queues with RQ's own tools, and what their clicks there do."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django_rq.settings import get_queues_list

from cms_ai_images import progress, queue, services
from cms_ai_images.models import AuditEntry, GenerationModel
from cms_ai_images.types import GenerationRequest, Priority, Status
from cms_ai_images.worker.rq_worker import serve

from .conftest import logged_in, make_user
from .factories import make_model, make_worker
from .services import child_environment
from .test_reconciler import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def page(*parts: str) -> str:
    """A page of the normal queue in django-rq's part of the admin."""
    index = [entry["name"] for entry in get_queues_list()].index("images-normal")
    return "/".join(["/admin/django_rq/dashboard/queues", str(index), *parts, ""])


@pytest.fixture
def failed(author):
    """A task that failed for good, though it would succeed now."""
    make_worker()
    make_model(options={"fail": "unsafe_weights"})
    task = services.request_generation(author, GenerationRequest(prompt="a red apple on the beach"))
    serve("images", burst=True)
    task.refresh_from_db()
    assert task.status == Status.FAILED
    GenerationModel.objects.update(options={})
    return task


@pytest.fixture
def operator(client, admin):
    client.force_login(admin)
    return client


def test_the_pages_show_a_failed_job_with_its_reason(operator, failed):
    assert f"{failed.uuid}-1" in operator.get(page("failed")).content.decode()
    shown = operator.get(page(f"{failed.uuid}-1")).content.decode()
    assert "text_to_image" in shown
    assert "a red apple on the beach" in shown
    [result] = set(re.findall(r'href="([^"]*/results/[^"]*)"', shown))
    reason = operator.get(result).content.decode()
    assert "UnsafeWeights" in reason
    assert "format that can run code" in reason


def test_starting_a_failed_job_again_there_repeats_its_task(operator, failed):
    operator.post(page(f"{failed.uuid}-1", "requeue"))
    serve("images", burst=True)
    failed.refresh_from_db()
    assert (failed.status, failed.attempt) == (Status.SUCCEEDED, 2)
    assert failed.images.count() == 1


def test_starting_it_again_after_the_task_was_repeated_does_nothing(operator, failed, author):
    services.retry(author, failed)
    operator.post(page(f"{failed.uuid}-1", "requeue"))
    serve("images", burst=True)
    failed.refresh_from_db()
    assert (failed.status, failed.attempt, failed.charge_round) == (Status.SUCCEEDED, 2, 2)
    assert failed.images.count() == 1


def test_stopping_a_running_job_there_cancels_its_task(operator, author):
    """RQ itself only stops what it has forked, and the page says that it did."""
    make_worker()
    make_model(options={"step_seconds": 0.1})
    task = services.request_generation(author, GenerationRequest(prompt="an apple", steps=150))

    def stop() -> None:
        wait_for(lambda: progress.read("images", task.uuid, 1))
        operator.post(page(f"{task.uuid}-1", "stop"))
        connection.close()

    thread = threading.Thread(target=stop)
    thread.start()
    serve("images", burst=True)
    thread.join()
    task.refresh_from_db()
    assert (task.status, task.error_code) == (Status.CANCELLED, "")
    assert AuditEntry.objects.filter(action="cancelled", actor=None).exists()


def test_they_are_shown_to_those_with_the_permission_alone(client, operator, failed, author):
    """django-rq only hides the link: these pages tell of prompts, and repeat tasks at their authors' price."""
    job, colleague = f"{failed.uuid}-1", logged_in(author)
    reader = logged_in(make_user("watcher", "django_rq.admin", is_staff=True))
    for address in (page(), page("failed"), page(job), "/admin/django_rq/dashboard/"):
        assert [who.get(address).status_code for who in (colleague, reader, operator)] == [403, 200, 200]
        assert type(client)().get(address).url.startswith("/admin/login/")
    assert colleague.post(page(job, "requeue")).status_code == 403
    serve("images", burst=True)
    failed.refresh_from_db()
    assert failed.status == Status.FAILED


def test_rq_info_counts_what_waits(author):
    make_worker()
    make_model()
    services.request_generation(author, GenerationRequest(prompt="an apple"))
    assert queue.get_queue("images", Priority.NORMAL).count == 1
    command = [str(Path(sys.executable).with_name("rq")), "info", "--raw", "--url", settings.REDIS_URL]
    done = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=True)
    assert "queue images-normal 1" in done.stdout
