"""The function that RQ calls. `queue.JOB` names it."""

from __future__ import annotations

from django.db import close_old_connections
from rq import get_current_job

from cms_ai_images import services
from cms_ai_images.models import GenerationTask
from cms_ai_images.types import Status
from cms_ai_images.worker.attempt import carry_out
from cms_ai_images.worker.claiming import claim
from cms_ai_images.worker.runtime import Runtime


def run(uuid: str) -> str:
    """Draw this task, if it still waits, and what goes with it; the job is only the bell that rang."""
    runtime = Runtime.current
    if runtime is None:
        raise RuntimeError("These jobs need the worker that `manage.py ai_images_worker` starts.")
    close_old_connections()
    try:
        if tasks := claim(runtime, uuid):
            return carry_out(runtime, tasks)
        return "queued again" if _repeat(uuid) else "nothing to do"
    finally:
        close_old_connections()


def _repeat(uuid: str) -> bool:
    """Retry a failed task whose last job somebody has started again in RQ's pages.

    RQ then forgets when that job ended; the second run of a doubled job still knows.
    """
    job = get_current_job()
    if job is None or job.ended_at is not None:
        return False
    task = GenerationTask.objects.select_related("model").filter(uuid=uuid, status=Status.FAILED).first()
    if task is None or job.id != f"{task.uuid}-{task.attempt}":
        return False
    services.repeat(task)
    return True
