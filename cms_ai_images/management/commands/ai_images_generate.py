"""Generate pictures from the command line, through the same path as an author's click."""

from __future__ import annotations

import json
import time
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from cms_ai_images import services
from cms_ai_images.exceptions import AIImagesError
from cms_ai_images.models import GeneratedImage, GenerationTask
from cms_ai_images.types import GenerationRequest, ReviewState, Status

POLL_SECONDS = 0.2


class UnknownUser(CommandError):
    """Nobody has this name, or there is no superuser to fall back to."""


class Command(BaseCommand):
    help = "Generates pictures and puts them into the media library."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prompt")
        parser.add_argument("--negative-prompt")
        parser.add_argument("--preset", help="Slug of a style preset.")
        parser.add_argument("--model", help="Slug of a generation model.")
        parser.add_argument("--width", type=int)
        parser.add_argument("--height", type=int)
        parser.add_argument("--steps", type=int)
        parser.add_argument("--count", type=int, default=1, help="Number of pictures (default: %(default)s).")
        parser.add_argument("--seed", type=int)
        parser.add_argument("--again", action="store_true", help="Draw even if the same pictures are there already.")
        parser.add_argument("--user", help="Whose pictures they are (default: the first superuser).")
        parser.add_argument("--wait", action="store_true", help="Wait until the pictures are in the library.")
        parser.add_argument("--timeout", type=float, default=600.0, help="Longest wait in seconds.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object and nothing else.")

    def handle(self, *args: Any, **options: Any) -> None:
        task: GenerationTask | None = None
        error: dict[str, Any] | None = None
        try:
            task = services.request_generation(
                self._user(options["user"]),
                GenerationRequest(
                    prompt=options["prompt"],
                    negative_prompt=options["negative_prompt"],
                    preset=options["preset"],
                    model=options["model"],
                    width=options["width"],
                    height=options["height"],
                    steps=options["steps"],
                    num_images=options["count"],
                    seed=options["seed"],
                    auto_accept=True,
                    reuse=not options["again"],
                ),
            )
            if options["wait"]:
                error = self._wait(task, time.monotonic() + options["timeout"])
        except AIImagesError as problem:
            error = {"code": problem.code, "detail": str(problem)}
        except UnknownUser as problem:
            error = {"code": "unknown_user", "detail": str(problem)}
        self._report(task, error, options["json"])
        if error is not None:
            raise CommandError(error["detail"], returncode=1)

    def _user(self, username: str | None) -> Any:
        users = get_user_model()._default_manager
        if username is None:
            user = users.filter(is_superuser=True, is_active=True).order_by("pk").first()
        else:
            user = users.filter(**{get_user_model().USERNAME_FIELD: username}).first()
        if user is None:
            raise UnknownUser("There is no such user. Name one with --user.")
        return user

    def _wait(self, task: GenerationTask, until: float) -> dict[str, Any] | None:
        """Wait for the end of the task and for its pictures to be in the library. Returns what went wrong."""
        while time.monotonic() < until:
            task.refresh_from_db()
            if task.status in (Status.FAILED, Status.CANCELLED):
                return {"code": task.error_code or task.status, "detail": task.error_message or task.status}
            drafts = GeneratedImage.objects.filter(task=task, review_state=ReviewState.DRAFT)
            if task.status == Status.SUCCEEDED and not drafts.exists():
                return None
            time.sleep(POLL_SECONDS)
        return {"code": "timeout", "detail": "The pictures are not there yet. The task stays in the queue."}

    def _report(self, task: GenerationTask | None, error: dict[str, Any] | None, as_json: bool) -> None:
        images = (
            GeneratedImage.objects.filter(task=task, filer_image__isnull=False).select_related("filer_image")
            if task
            else GeneratedImage.objects.none()
        )
        result: dict[str, Any] = {
            "id": str(task.uuid) if task else None,
            "status": task.status if task else None,
            "images": [
                {
                    "id": str(image.uuid),
                    "url": image.filer_image.url,  # type: ignore[union-attr]
                    "width": image.width,
                    "height": image.height,
                    "seed": image.seed,
                    "filer_id": image.filer_image_id,
                }
                for image in images
            ],
            "error": error,
        }
        if as_json:
            self.stdout.write(json.dumps(result, indent=2))
            return
        if task is not None:
            self.stdout.write(f"Task {result['id']}: {result['status']}")
        for picture in result["images"]:
            self.stdout.write(f"{picture['url']}  seed {picture['seed']}")
