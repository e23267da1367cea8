"""What has to hold on each database: SQLite by default, PostgreSQL with `TEST_DATABASE=postgresql`."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from cms_ai_images.models import GenerationModel, GenerationTask
from cms_ai_images.types import Status
from cms_ai_images.worker.claiming import claim
from cms_ai_images.worker.runtime import Runtime

from .factories import make_model, make_task
from .threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 4
TASKS = 24


def tables() -> set[str]:
    return {name for name in connection.introspection.table_names() if name.startswith("cms_ai_images_")}


def test_the_migrations_go_back_to_nothing_and_forward_again() -> None:
    before = tables()
    assert len(before) > 8
    try:
        call_command("migrate", "cms_ai_images", "zero", verbosity=0)
        assert tables() == set()
    finally:
        call_command("migrate", "cms_ai_images", verbosity=0)
    assert tables() == before


@pytest.fixture
def model() -> GenerationModel:
    """Draws four pictures at once."""
    return make_model(options={"max_batch": 4})


def test_workers_that_claim_at_the_same_time_share_the_tasks(author: User, model: GenerationModel) -> None:
    """Each task has one owner, and nobody gets an error because somebody else was at work."""
    tasks = [make_task(author, model) for _ in range(TASKS)]
    runtimes = [Runtime("images") for _ in range(WORKERS)]
    for runtime in runtimes:
        runtime.residents.get(model)

    def work(runtime: Runtime) -> list[int]:
        return [claimed.pk for task in tasks for claimed in claim(runtime, str(task.uuid))]

    owned = at_once([lambda runtime=runtime: work(runtime) for runtime in runtimes])
    assert sorted(key for keys in owned for key in keys) == sorted(task.pk for task in tasks)
    for runtime, keys in zip(runtimes, owned, strict=True):
        rows = GenerationTask.objects.filter(pk__in=keys)
        assert set(rows.values_list("status", "worker", "attempt")) <= {(Status.RUNNING, runtime.worker.pk, 1)}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite locks the database, not rows")
def test_a_claim_passes_over_rows_that_somebody_has_locked(author: User, model: GenerationModel) -> None:
    first, locked, free = (make_task(author, model) for _ in range(3))
    runtime = Runtime("images")
    runtime.residents.get(model)
    is_locked, is_claimed = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            GenerationTask.objects.select_for_update().get(pk=locked.pk)
            is_locked.set()
            is_claimed.wait(30)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_locked.wait(30)
    try:
        with CaptureQueriesContext(connection) as queries:
            claimed = claim(runtime, str(first.uuid))
    finally:
        is_claimed.set()
        holder.join()
    assert claimed == [first, free]
    assert any("FOR UPDATE SKIP LOCKED" in query["sql"] for query in queries)
    locked.refresh_from_db()
    assert locked.status == Status.QUEUED
