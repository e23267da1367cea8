"""What a worker hears from Redis, and what Redis knows of it."""

from __future__ import annotations

import threading
from datetime import timedelta

import django_rq
import pytest
from django.utils import timezone
from redis.client import PubSubWorkerThread
from redis.exceptions import RedisError
from rq import Worker as RQWorker

from cms_ai_images import connections, lifecycle, progress, services
from cms_ai_images.exceptions import TaskCancelled
from cms_ai_images.types import GenerationRequest
from cms_ai_images.worker.attempt import carry_out
from cms_ai_images.worker.batch import join
from cms_ai_images.worker.hold import Hold
from cms_ai_images.worker.rq_worker import ImageWorker, serve

from .factories import make_model, make_task, make_worker
from .test_reconciler import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

CHANNEL = progress.cancel_channel("images")


@pytest.fixture
def worker(runtime, valkey):
    """One whose thread listens."""
    queue = django_rq.get_queue(connections.queue_name("images"))
    worker = ImageWorker([queue], connection=queue.connection, runtime=runtime)
    worker.subscribe()
    wait_for(lambda: valkey.pubsub_numsub(CHANNEL)[0][1] == 1)
    yield worker
    worker.unsubscribe()


@pytest.fixture
def holds(worker, author):
    """What it draws: two tasks, at their first attempt."""
    deadline = timezone.now() + timedelta(minutes=5)
    tasks = [make_task(author) for _ in range(2)]
    for task in tasks:
        assert lifecycle.claim(task, worker_id=worker.runtime.worker.pk, lease=deadline, deadline=deadline)
    return [member.hold for member in join(worker.runtime.heartbeat, tasks)]


def is_cancelled(hold: Hold) -> bool:
    try:
        hold.check()
    except TaskCancelled:
        return True
    return False


@pytest.mark.parametrize("noise", [b"", b"hello", b"\xff\xfe", b"{uuid}", b"{uuid} two"])
def test_it_listens_on_after_what_it_cannot_read(valkey, worker, holds, noise):
    valkey.publish(CHANNEL, noise.replace(b"{uuid}", str(holds[0].uuid).encode()))
    progress.request_cancel("images", holds[1].uuid, 1)
    wait_for(lambda: is_cancelled(holds[1]))
    assert not is_cancelled(holds[0])
    assert worker.pubsub_thread.is_alive()


def test_it_knows_which_attempt_is_meant(holds):
    """Messages are heard in turn: when the second one has been, so has the first."""
    progress.request_cancel("images", holds[0].uuid, 2)
    progress.request_cancel("images", holds[1].uuid, 1)
    wait_for(lambda: is_cancelled(holds[1]))
    assert not is_cancelled(holds[0])


def test_an_emptied_redis_gets_to_know_what_it_does(valkey, worker):
    """An idle one had no state in RQ's pages, and in `rq info`, until its next job."""
    worker.register_birth()
    worker.set_state("idle")
    valkey.flushall()
    worker.heartbeat()
    [known] = RQWorker.all(connection=valkey)
    assert (known.name, known.get_state(), known.queue_names()) == (worker.name, "idle", worker.queue_names())


def test_nobody_listens_on_for_a_loop_that_ended_without_redis(author, valkey_server, monkeypatch):
    """Each loss of Redis left a thread behind, and a connection as soon as Redis was back."""

    def lose_redis(*args):
        outcome = carry_out(*args)
        listening.extend(each for each in threading.enumerate() if isinstance(each, PubSubWorkerThread))
        valkey_server.stop()
        return outcome

    listening: list[threading.Thread] = []
    monkeypatch.setattr("cms_ai_images.worker.job.carry_out", lose_redis)
    make_worker()
    make_model()
    services.request_generation(author, GenerationRequest(prompt="an apple"))
    try:
        with pytest.raises(RedisError):
            serve("images", burst=True)
        [thread] = listening
        thread.join(10)
        assert not thread.is_alive()
    finally:
        valkey_server.start()
