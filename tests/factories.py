"""Rows for tests, as plain functions: sensible where a test says nothing, and every field can be given."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import uuid
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.utils import timezone

from cms_ai_images import conf
from cms_ai_images.backends.dummy import paint
from cms_ai_images.library import drafts
from cms_ai_images.models import (
    GeneratedImage,
    GenerationModel,
    GenerationTask,
    StylePreset,
    WebhookDelivery,
    WebhookEndpoint,
    Worker,
)
from cms_ai_images.models.images import draft_key
from cms_ai_images.models.webhooks import Event
from cms_ai_images.presets import publish_version
from cms_ai_images.resolution import fingerprint
from cms_ai_images.types import GenerationParameters, GenerationRequest, Operation, ReviewState, Status
from cms_ai_images.worker.encoding import encode, encode_preview

from .receiver import Receiver

POOL = "images"


def make_model(slug: str = "dummy", **fields: Any) -> GenerationModel:
    """An enabled model of the dummy backend that draws 64 × 64 (the default) and 96 × 64 pixels in two steps."""
    values: dict[str, Any] = {
        "label": slug.replace("-", " ").capitalize(),
        "backend": "dummy",
        "source": "",
        "sizes": [[64, 64], [96, 64]],
        "default_parameters": {"steps": 2, "guidance_scale": 0.0},
        "pool": POOL,
    }
    return GenerationModel.objects.create(slug=slug, **{**values, **fields})


def make_picture_model(**fields: Any) -> GenerationModel:
    """A model that can start from pictures, too, with steps enough to change them a little, and a living worker."""
    make_worker()
    operations = ["text_to_image", "image_to_image", "inpaint"]
    return make_model(operations=operations, default_parameters={"steps": 10, "guidance_scale": 0.0}, **fields)


def make_preset(
    slug: str = "pencil", *, groups: tuple[Group, ...] = (), version: dict[str, Any] | None = None, **fields: Any
) -> StylePreset:
    """A published preset; `version` holds what its first version says. `version={}` says nothing."""
    values = {"name": slug.capitalize(), "published": True, **fields}
    preset = StylePreset.objects.create(slug=slug, **values)
    preset.groups.set(groups)
    publish_version(preset, {"prompt_template": "a pencil sketch of {prompt}"} if version is None else version)
    return preset


def make_worker(pool: str = POOL, **fields: Any) -> Worker:
    """A worker that lives. `heartbeat_at` or `stopped_at` makes it a dead one."""
    values = {"name": f"worker-{uuid.uuid4().hex[:12]}", "host": "testhost", "pid": 1, "device": "cpu", **fields}
    return Worker.objects.create(pool=pool, **values)


def make_task(user: Any = None, model: GenerationModel | None = None, **fields: Any) -> GenerationTask:
    """A queued task. `prompt`, `seed`, `num_images`, `width`, ... go into its parameters, the rest into its columns.

    The model is the dummy, made when it is missing. A running task gets a worker, a lease and a deadline.
    """
    model = model or GenerationModel.objects.filter(slug="dummy").first() or make_model()
    names = {field.name for field in dataclasses.fields(GenerationParameters)}
    asked = {name: fields.pop(name) for name in names & set(fields)}
    width, height = model.default_size
    defaults: dict[str, Any] = {
        "operation": Operation.TEXT_TO_IMAGE.value,
        "prompt": "a red apple on the beach",
        "negative_prompt": "",
        "width": width,
        "height": height,
        "steps": 2,
        "guidance_scale": 0.0,
        "seed": 7,
        "num_images": 1,
        "output_format": "png",
    }
    parameters = GenerationParameters(**{**defaults, **asked})
    request = GenerationRequest(prompt=parameters.prompt, num_images=parameters.num_images)
    values: dict[str, Any] = {
        "model_label": model.label,
        "operation": parameters.operation,
        "request": json.loads(json.dumps(dataclasses.asdict(request))),
        "parameters": parameters.as_dict(),
        "fingerprint": fingerprint(model, parameters),
        "pool": model.pool,
        **_columns_of(fields.get("status", Status.QUEUED)),
        **fields,
    }
    return GenerationTask.objects.create(user=user, model=model, **values)


def _columns_of(status: str) -> dict[str, Any]:
    """What else is set in a row of this status."""
    now = timezone.now()
    if status == Status.RUNNING:
        return {
            "worker": make_worker(),
            "attempt": 1,
            "started_at": now,
            "lease_expires_at": now + timedelta(seconds=conf.get("LEASE_SECONDS")),
            "deadline_at": now + timedelta(seconds=conf.get("LIMITS")["task_seconds"]),
        }
    if status in (Status.SUCCEEDED, Status.FAILED):
        return {"attempt": 1, "started_at": now, "finished_at": now}
    return {"finished_at": now} if status == Status.CANCELLED else {}


def make_image(
    user: Any = None, *, task: GenerationTask | None = None, index: int = 0, data: bytes | None = None, **fields: Any
) -> GeneratedImage:
    """A stored draft of a succeeded task, its preview beside it. One that is no draft any more has no bytes."""
    task = task or make_task(user, status=Status.SUCCEEDED)
    parameters = task.generation_parameters
    picture = paint(parameters.prompt, parameters.seed + index, (parameters.width, parameters.height))
    if data is None:
        data = encode(picture, parameters.output_format)
    values: dict[str, Any] = {
        "seed": parameters.seed + index,
        "width": picture.width,
        "height": picture.height,
        "byte_size": len(data),
        "output_format": parameters.output_format,
        "sha256": hashlib.sha256(data).hexdigest(),
        **fields,
    }
    image = GeneratedImage(task=task, index=index, **values)
    if image.review_state == ReviewState.DRAFT:
        key = draft_key(image, "")
        drafts.write(key, data)
        drafts.write(drafts.preview_key(key), encode_preview(picture))
        image.file.name = key
    image.save()
    return image


def make_endpoint(receiver: Receiver, **fields: Any) -> WebhookEndpoint:
    """A webhook that is told everything."""
    return WebhookEndpoint.objects.create(
        **{"name": "newsroom", "url": receiver.url, "events": list(Event.values), **fields}
    )


def make_delivery(receiver: Receiver, endpoint: WebhookEndpoint | None = None, **fields: Any) -> WebhookDelivery:
    """A message that is due."""
    endpoint = endpoint or WebhookEndpoint.objects.first() or make_endpoint(receiver)
    task = make_task(status=Status.SUCCEEDED)
    values = {"event": Event.TASK_SUCCEEDED, "task_uuid": task.uuid, "payload": {"type": "task.succeeded", "ü": 1}}
    return WebhookDelivery.objects.create(endpoint=endpoint, **{**values, **fields})
