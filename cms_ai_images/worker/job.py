"""The function that RQ calls. `queue.JOB` names it."""

from __future__ import annotations

import time

from django.db import close_old_connections
from rq import get_current_job

from cms_ai_images import services
from cms_ai_images.exceptions import GenerationError, by_code
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Status
from cms_ai_images.worker.attempt import carry_out
from cms_ai_images.worker.claiming import claim
from cms_ai_images.worker.runtime import Runtime
from cms_ai_images.worker.watchdog import GOODBYE_SECONDS


def run(uuid: str) -> str:
    """Draw this task, if it still waits, and what goes with it; the job is only the bell that rang."""
    runtime = Runtime.current
    if runtime is None:
        raise RuntimeError("These jobs need the worker that `manage.py ai_images_worker` starts.")
    if runtime.heartbeat.is_closing:
        time.sleep(GOODBYE_SECONDS)  # the end comes first; what is handed back must not be taken again here
        return "nothing to do"
    close_old_connections()
    try:
        if tasks := claim(runtime, uuid):
            return carry_out(runtime, tasks)
        return _nothing_to_draw(uuid)
    finally:
        close_old_connections()


def _nothing_to_draw(uuid: str) -> str:
    """What a bell means whose task does not wait: mostly nothing, for example because it was drawn as a companion.

    The bell of a companion that failed for good raises its error, so that RQ shows it with its reason. A failed job
    that somebody starts again in RQ's pages retries its task: such a job has failed before, and RQ has forgotten when;
    the second run of a doubled job still knows.
    """
    job = get_current_job()
    task = GenerationTask.objects.select_related("model").filter(uuid=uuid, status=Status.FAILED).first()
    if job is None or task is None or job.id != f"{task.uuid}-{task.attempt}":
        return "nothing to do"
    if job.latest_result() is None:
        raise (by_code(task.error_code) or GenerationError)(**task.error_params)
    if job.ended_at is not None:
        return "nothing to do"
    services.repeat(task)
    return "queued again"
