"""The function that RQ calls. `queue.JOB` names it."""

from __future__ import annotations

from django.db import close_old_connections

from cms_ai_images.worker.attempt import carry_out, claim
from cms_ai_images.worker.runtime import Runtime


def run(uuid: str) -> str:
    """Draw one task, if it still waits; the job is only the bell that rang."""
    runtime = Runtime.current
    if runtime is None:
        raise RuntimeError("These jobs need the worker that `manage.py ai_images_worker` starts.")
    close_old_connections()
    try:
        task = claim(runtime, uuid)
        return "nothing to do" if task is None else carry_out(runtime, task)
    finally:
        close_old_connections()
