"""The function that RQ calls. `queue.JOB` names it."""

from __future__ import annotations

from django.db import close_old_connections

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
        tasks = claim(runtime, uuid)
        return carry_out(runtime, tasks) if tasks else "nothing to do"
    finally:
        close_old_connections()
