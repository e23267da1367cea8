"""JSON in and JSON out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from uuid import UUID

from django.contrib.contenttypes.models import ContentType
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from cms_ai_images import progress, queue
from cms_ai_images.exceptions import UnknownParameter, by_code, describe
from cms_ai_images.library import naming
from cms_ai_images.library.describing import focal_point
from cms_ai_images.library.thumbnails import thumbnail_url
from cms_ai_images.models import GeneratedImage, GenerationTask
from cms_ai_images.types import (
    STANDARD,
    GenerationRequest,
    Operation,
    Origin,
    OutputFormat,
    PictureDetails,
    Priority,
    Progress,
    Reference,
    ReferenceKind,
    Status,
)

MAX_REFERENCES = 8
"""More than any operation takes."""


class BodySerializer(serializers.Serializer):
    """What a program sends. A slip of the pen in a name, passed over, would ask for something else, and cost points."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuses names that nobody knows, each at its field."""
        if isinstance(data, Mapping) and (unknown := [str(name) for name in data if name not in self.fields]):
            text = str(UnknownParameter(known=", ".join(self.fields)))
            raise serializers.ValidationError({name: [text] for name in unknown}, code="unknown_parameter")
        return super().to_internal_value(data)


class OriginSerializer(BodySerializer):
    """The object that the pictures are for."""

    label = serializers.RegexField(r"^[A-Za-z_]\w*\.[A-Za-z_]\w*$", max_length=200)  # type: ignore[assignment]
    object_id = serializers.CharField(max_length=255, allow_blank=True, default="")
    field = serializers.CharField(max_length=100, allow_blank=True, default="")  # type: ignore[assignment]


class ReferenceSerializer(BodySerializer):
    """A picture to start from: exactly one of these."""

    upload = serializers.UUIDField(required=False, help_text="The id that `references/` answered an upload with.")
    image = serializers.UUIDField(required=False, help_text="The id of a picture of your own.")
    library = serializers.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, help_text="A file of the media library that you may read."
    )
    url = serializers.CharField(
        required=False, max_length=2000, help_text="An https address on a server that an administrator has listed."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One, no more and no less."""
        if len(attrs) != 1:
            raise serializers.ValidationError(_("Name exactly one of upload, image, library and url."))
        return attrs

    @staticmethod
    def to_reference(given: dict[str, Any]) -> Reference:
        """The frozen value."""
        [(kind, value)] = given.items()
        return Reference(kind=kind, value=str(value))

    @staticmethod
    def to_json(stored: dict[str, str]) -> dict[str, Any]:
        """As it was sent: a file of the library is a number again."""
        kind, value = stored["kind"], stored["value"]
        return {kind: int(value) if kind == ReferenceKind.LIBRARY else value}


class GenerationRequestSerializer(BodySerializer):
    """Shapes and types only: what is possible depends on the model and is checked by the service."""

    prompt = serializers.CharField(allow_blank=True, trim_whitespace=False)
    operation = serializers.ChoiceField(Operation.choices, default=Operation.TEXT_TO_IMAGE)
    negative_prompt = serializers.CharField(allow_blank=True, allow_null=True, default=None)
    preset = serializers.CharField(allow_null=True, allow_blank=True, default=None)
    model = serializers.CharField(allow_null=True, allow_blank=True, default=None)
    width = serializers.IntegerField(allow_null=True, default=None)
    height = serializers.IntegerField(allow_null=True, default=None)
    steps = serializers.IntegerField(allow_null=True, default=None)
    guidance_scale = serializers.FloatField(allow_null=True, default=None)
    strength = serializers.FloatField(
        allow_null=True, default=None, help_text="From 0 to 1: how far the picture may leave the one it starts from."
    )
    references = ReferenceSerializer(many=True, default=list, max_length=MAX_REFERENCES)  # type: ignore[call-arg]
    quality = serializers.CharField(default=STANDARD)
    seed = serializers.IntegerField(allow_null=True, default=None)
    num_images = serializers.IntegerField(default=1)
    output_format = serializers.ChoiceField(OutputFormat.choices, allow_null=True, default=None)
    priority = serializers.ChoiceField([priority.word for priority in Priority], default=Priority.NORMAL.word)
    auto_accept = serializers.BooleanField(allow_null=True, default=None)
    origin = OriginSerializer(allow_null=True, default=None)

    def to_request(self) -> GenerationRequest:
        """The frozen value that the service takes."""
        values = dict(self.validated_data)
        origin = values.pop("origin")
        brought = tuple(ReferenceSerializer.to_reference(each) for each in values.pop("references"))
        return GenerationRequest(**values, references=brought, origin=Origin(**origin) if origin else None)


class PictureDetailsSerializer(BodySerializer):
    """What an author says of a picture on its way into the library."""

    name = serializers.CharField(max_length=255, allow_blank=True, allow_null=True, default=None)
    alt_text = serializers.CharField(max_length=255, allow_blank=True, allow_null=True, default=None)
    decorative = serializers.BooleanField(default=False)
    caption = serializers.CharField(max_length=255, allow_blank=True, allow_null=True, default=None)
    credit = serializers.CharField(max_length=255, allow_blank=True, allow_null=True, default=None)
    folder_id = serializers.IntegerField(allow_null=True, default=None, min_value=1, max_value=2**63 - 1)
    focal_point = serializers.ListField(
        child=serializers.FloatField(min_value=0, max_value=1),
        allow_null=True,
        default=None,
        min_length=2,
        max_length=2,
    )

    def to_details(self) -> PictureDetails:
        """The frozen value that the service takes."""
        point = self.validated_data["focal_point"]
        return PictureDetails(**{**self.validated_data, "focal_point": (point[0], point[1]) if point else None})


class _Page:
    """What is asked for once, however many tasks an answer tells of: Redis, and where each kind of thing is."""

    def __init__(self, tasks: Iterable[GenerationTask] = ()) -> None:
        self.read_pace = cache(progress.read_pace)
        self.steps: dict[UUID, Progress] = {}
        attempts: dict[str, dict[UUID, int]] = {}
        for task in tasks:
            if task.status == Status.RUNNING:
                attempts.setdefault(task.pool, {})[task.uuid] = task.attempt
        for pool, running in attempts.items():
            self.steps |= progress.read_many(pool, running)
        self._around = cache(_around)

    def url(self, name: str, uuid: UUID) -> str:
        """The address of a task or a picture."""
        before, after = self._around(name)
        return f"{before}{uuid}{after}"


ANY = UUID(int=0)


def _around(name: str) -> list[str]:
    """The two parts of an address around the id in it."""
    return reverse(f"cms_ai_images:{name}", args=[ANY]).split(str(ANY))


def tasks_json(tasks: Iterable[GenerationTask], *, viewer: Any = None) -> list[dict[str, Any]]:
    """Tasks as their owner sees them, or `viewer`, who may see everybody's: they are told whose each is."""
    tasks = list(tasks)
    page = _Page(tasks)
    return [_task_json(task, page, viewer) for task in tasks]


def task_json(task: GenerationTask) -> dict[str, Any]:
    """A task as its owner sees it."""
    return tasks_json([task])[0]


def _task_json(task: GenerationTask, page: _Page, viewer: Any) -> dict[str, Any]:
    parameters = task.parameters
    version = task.preset_version
    running = task.status == Status.RUNNING
    step = page.steps.get(task.uuid)
    position = queue.position(task)
    is_others = viewer is not None and task.user_id != viewer.pk
    return {
        "id": str(task.uuid),
        "status": task.status,
        "operation": task.operation,
        "prompt": task.prompt,
        "negative_prompt": task.request.get("negative_prompt") or "",
        "preset": {"slug": version.preset.slug, "name": task.preset_label} if version else None,
        "model": {"slug": task.model.slug if task.model else None, "label": task.model_label},
        "width": parameters["width"],
        "height": parameters["height"],
        "steps": parameters["steps"],
        "guidance_scale": parameters["guidance_scale"],
        "strength": parameters.get("strength"),
        "references": [ReferenceSerializer.to_json(each) for each in task.request.get("references", [])],
        "quality": task.request.get("quality", STANDARD),
        "seed": parameters["seed"],
        "num_images": parameters["num_images"],
        "output_format": parameters["output_format"],
        "priority": Priority(task.priority).word,
        "cost": task.cost,
        "created_at": task.created_at.isoformat(),
        "started_at": task.started_at.isoformat() if task.started_at else None,
        "finished_at": task.finished_at.isoformat() if task.finished_at else None,
        "cancel_requested": task.cancel_requested_at is not None,
        "position": position,
        "eta_seconds": queue.eta(task, position, step, page.read_pace),
        "progress": {"step": step.step, "total": step.total} if step else None,
        "preview_urls": _preview_urls(task) if running else [],
        "error": _error_json(task),
        "origin": _origin_json(task),
        "proposed": {"name": naming.title(task), "alt_text": naming.alt_text(task)},
        "user": {"id": task.user_id, "name": _person(task.user)} if is_others and task.user else None,
        "images": [
            image_json(image, task, is_own=not is_others, page=page)
            for image in sorted(task.images.all(), key=lambda image: image.index)
        ],
        "url": page.url("task-detail", task.uuid),
        "events_url": page.url("task-events", task.uuid),
    }


def image_json(
    image: GeneratedImage, task: GenerationTask, *, is_own: bool = True, page: _Page | None = None
) -> dict[str, Any]:
    """A picture as its owner sees it: a private draft, or a file of the library. Others see the latter only."""
    page = page or _Page()
    library = library_json(image.filer_image) if image.filer_image else None
    has_draft = bool(image.file) and is_own
    return {
        "id": str(image.uuid),
        "task": str(task.uuid),
        "index": image.index,
        "seed": image.seed,
        "width": image.width,
        "height": image.height,
        "state": image.review_state,
        "file_url": library["url"] if library else page.url("image-file", image.uuid) if has_draft else None,
        "preview_url": (
            library["thumbnail_url"] if library else page.url("image-preview", image.uuid) if has_draft else None
        ),
        "download_url": page.url("image-download", image.uuid) if is_own and (library or has_draft) else None,
        "library": library,
    }


def library_json(filer_image: Any) -> dict[str, Any]:
    """A file of the library, with what an editor needs to insert it."""
    meta = filer_image._meta
    return {
        "filer_id": filer_image.pk,
        "data_cms_src": f"{meta.label_lower}:{filer_image.pk}",
        "url": filer_image.url,
        "thumbnail_url": thumbnail_url(filer_image),
        "name": filer_image.label,
        "alt_text": filer_image.default_alt_text or "",
        "caption": filer_image.default_caption or "",
        "credit": getattr(filer_image, "author", None) or "",
        "focal_point": focal_point(filer_image),
        "width": int(filer_image.width),
        "height": int(filer_image.height),
        "admin_url": reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[filer_image.pk]),
    }


def _preview_urls(task: GenerationTask) -> list[str]:
    """Where small pictures of what is being drawn are, while it is being drawn."""
    return [
        reverse("cms_ai_images:task-preview", args=[task.uuid, index]) for index in range(task.parameters["num_images"])
    ]


def _error_json(task: GenerationTask) -> dict[str, Any] | None:
    """Why it failed, in the reader's language; the worker's own words where the code is not known here."""
    if not task.error_code:
        return None
    error = by_code(task.error_code)
    params = {**task.error_params, **({"model": task.model_label} if "model" in task.error_params else {})}
    return {
        "code": task.error_code,
        "detail": describe(task.error_code, params) or task.error_message,
        "retryable": error is None or error.retryable,
    }


def _person(user: Any) -> str:
    return user.get_full_name() or user.get_username()


def _origin_json(task: GenerationTask) -> dict[str, str] | None:
    if task.origin_type_id is None:
        return None
    kind = ContentType.objects.get_for_id(task.origin_type_id)  # kept in memory
    label = f"{kind.app_label}.{kind.model}"
    return {"label": label, "object_id": task.origin_id, "field": task.origin_field}
