"""What the worker's command line does, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone
from rq import Worker as RQWorker

from cms_ai_images.models import GenerationTask, Worker
from cms_ai_images.types import Status
from cms_ai_images.worker.watchdog import RESTART

from .factories import make_model, make_task, make_worker
from .faults import traps
from .services import child_environment, manage
from .test_reconciler import wait_for
from .test_watchdog import ask, no_traps, worker

__all__ = ["no_traps"]

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        manage("ai_images_worker", *arguments),
        env=child_environment(**environment),
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_models_are_loaded_before_the_first_task():
    first, second = make_model("first"), make_model("second")
    make_model("third")
    with worker("--models", first.slug, second.slug):
        wait_for(lambda: Worker.objects.filter(loaded_models=["first", "second"], device="cpu").exists())


def test_a_model_that_cannot_be_loaded_is_no_reason_not_to_work():
    make_model("broken", backend="diffusers", source="/nowhere")
    good = make_model("good")
    with worker("--models", "broken", "good"):
        ask(good)
        wait_for(lambda: GenerationTask.objects.get().status == Status.SUCCEEDED)
    assert Worker.objects.get().loaded_models == ["good"]


def test_an_emptied_redis_gets_to_know_the_worker_again(valkey):
    """RQ's pages and `rq info` showed no worker until it was started anew."""
    model = make_model()

    def known() -> list[str]:
        return [each.hostname for each in RQWorker.all(connection=valkey) if "images-high" in each.queue_names()]

    with worker():
        wait_for(known)
        valkey.flushall()
        ask(model)
        wait_for(known)


def test_a_pool_without_queues_is_said_at_once():
    result = run("--pool", "nowhere")
    assert result.returncode == 1
    assert "RQ_QUEUES has no queue called nowhere-high, nowhere-normal, nowhere-low" in result.stderr
    assert "Traceback" not in result.stderr
    assert not Worker.objects.exists()


def test_an_unknown_model_is_said_at_once():
    make_model("good")
    done = run("--models", "bad")
    assert done.returncode == 1
    assert "no enabled model called bad. Known: good." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment"), [(["--device", "7"], {}), ([], {"CUDA_VISIBLE_DEVICES": "GPU-8932f937"})]
)
def test_a_worker_whose_gpu_is_gone_does_not_start(arguments, environment):
    done = run(*arguments, **environment)
    assert done.returncode == 1
    assert "(device_missing)" in done.stderr
    assert "nvidia-smi" in done.stderr
    assert not Worker.objects.exists()


@pytest.mark.parametrize("device", ["", "0,", "0,,1"])
def test_a_gpu_without_a_number_does_not_mean_the_cpu(device):
    with pytest.raises(CommandError, match="such as 0 or 0,1"):
        call_command("ai_images_worker", device=device)


def test_a_lost_device_asks_for_a_new_process():
    model = make_model(options={"fail": "device_lost"})
    with worker() as process:
        task = ask(model)
        assert process.wait(40) == RESTART
    task.refresh_from_db()
    assert (task.status, task.attempt, task.error_code) == (Status.QUEUED, 1, "device_lost")
    assert not Worker.objects.alive().exists()


def test_a_device_that_is_lost_while_models_are_loaded_asks_for_one_too():
    model = make_model(backend="troubled")
    traps.lay("load", "lost")
    with worker("--models", model.slug) as process:
        assert process.wait(40) == RESTART
    assert not Worker.objects.alive().exists()


class TestBurst:
    """Workers that are started now and then find what happened while none lived."""

    def test_what_redis_has_forgotten_is_drawn(self, valkey):
        task = ask(make_model(), created_at=timezone.now() - timedelta(minutes=1))
        valkey.flushall()
        assert run("--burst").returncode == 0
        task.refresh_from_db()
        assert task.status == Status.SUCCEEDED

    def test_what_a_killed_one_left_is_drawn(self):
        past, later = timezone.now() - timedelta(minutes=1), timezone.now() + timedelta(minutes=5)
        task = make_task(None, make_model(), status=Status.RUNNING, attempt=1, worker=make_worker(), created_at=past)
        GenerationTask.objects.update(started_at=past, lease_expires_at=past, deadline_at=later)
        no_pause = {"AI_IMAGES_TEST_SETTINGS": json.dumps({"RETRY_PAUSES_SECONDS": [0]})}
        assert run("--burst", DJANGO_SETTINGS_MODULE="tests.faults.settings", **no_pause).returncode == 0
        task.refresh_from_db()
        assert (task.status, task.attempt) == (Status.SUCCEEDED, 2)

    def test_a_redis_that_is_away_is_said(self, valkey_server):
        task = ask(make_model())
        valkey_server.stop()
        try:
            done = run("--burst")
        finally:
            valkey_server.start()
        assert done.returncode == 1
        assert "Redis is away, and what waits could not be drawn" in done.stderr
        task.refresh_from_db()
        assert task.status == Status.QUEUED


class TestPool:
    """Several workers under RQ's worker pool."""

    def test_a_dead_worker_is_replaced_and_all_stop_together(self):
        model = make_model(options={"step_seconds": 0.05})
        with worker("--workers", "2") as pool:
            wait_for(lambda: Worker.objects.alive().count() == 2)
            first, second = Worker.objects.alive()
            assert pool.pid not in (first.pid, second.pid)
            os.kill(first.pid, signal.SIGKILL)
            wait_for(lambda: Worker.objects.exclude(pk__in=[first.pk, second.pk]).exists())
            for _ in range(4):
                ask(model, steps=10)
            wait_for(lambda: GenerationTask.objects.filter(status=Status.SUCCEEDED).count() == 4)
            assert len(set(GenerationTask.objects.values_list("worker", flat=True))) == 2
            pool.terminate()
            assert pool.wait(20) == 0
        assert not Worker.objects.filter(stopped_at=None).exclude(pk=first.pk).exists()

    def test_burst_ends_when_the_queues_are_empty(self):
        model = make_model()
        tasks = [ask(model) for _ in range(3)]
        with worker("--workers", "2", "--burst") as pool:
            assert pool.wait(40) == 0
        assert GenerationTask.objects.filter(status=Status.SUCCEEDED).count() == len(tasks)

    def test_each_has_a_device_of_its_own(self):
        done = run("--device", "6,7", "--burst")
        assert done.returncode == 1
        assert "GPU “6”" in done.stderr
        assert "GPU “7”" in done.stderr

    def test_a_killed_pool_leaves_nobody_behind(self):
        make_model()
        with worker("--workers", "2") as pool:
            wait_for(lambda: Worker.objects.alive().count() == 2)
            pool.kill()
            wait_for(lambda: not Worker.objects.filter(stopped_at=None).exists())
