"""What the worker's command line does, in processes of its own."""

from __future__ import annotations

import subprocess

import pytest
from django.conf import settings

from cms_ai_images.models import Worker
from cms_ai_images.types import Status
from cms_ai_images.worker.watchdog import RESTART

from .factories import make_model
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
        task = ask(good)
        wait_for(lambda: type(task).objects.get().status == Status.SUCCEEDED)
    assert Worker.objects.get().loaded_models == ["good"]


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
