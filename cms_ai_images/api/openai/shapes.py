"""What such a client sends, as one of our requests, and what it gets."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from cms_ai_images import conf
from cms_ai_images.api.bodies import measure
from cms_ai_images.api.images import picture_bytes
from cms_ai_images.exceptions import InvalidRequest, NotFound, RequestTooLarge
from cms_ai_images.models import GeneratedImage, GenerationModel, GenerationTask
from cms_ai_images.resolution import default_model, models_for
from cms_ai_images.types import STANDARD, GenerationRequest, OutputFormat

URL_SECONDS = 3600
"""How long the address of a picture works: as long as OpenAI's."""
QUALITIES = {
    "auto": (),
    "standard": (),
    "low": ("low",),
    "medium": ("medium",),
    "high": ("high", "hd"),
    "hd": ("hd", "high"),
    "xhigh": ("xhigh", "high", "hd"),
    "max": ("max", "xhigh", "high", "hd"),
}
"""Their words, and which of a model's qualities each may mean, the likeliest first. Else it means the standard one."""

_signer = TimestampSigner(salt="cms_ai_images.openai")


class ImagesSerializer(serializers.Serializer):
    """The body. What is not listed here changes nothing that we could do, and is passed over."""

    prompt = serializers.CharField(allow_blank=True, trim_whitespace=False)
    model = serializers.CharField(allow_null=True, allow_blank=True, default=None)
    n = serializers.IntegerField(allow_null=True, default=None)
    size = serializers.RegexField(r"^(auto|[0-9]{1,5}x[0-9]{1,5})$", allow_null=True, default=None)
    quality = serializers.CharField(allow_null=True, default=None)
    response_format = serializers.ChoiceField(["b64_json", "url"], allow_null=True, default=None)
    output_format = serializers.ChoiceField(OutputFormat.choices, allow_null=True, default=None)
    background = serializers.ChoiceField(["auto", "opaque"], allow_null=True, default=None)
    stream = serializers.BooleanField(allow_null=True, default=None)
    # Ours, which such clients send as `extra_body`.
    preset = serializers.CharField(allow_null=True, allow_blank=True, default=None)
    negative_prompt = serializers.CharField(allow_blank=True, allow_null=True, default=None)
    steps = serializers.IntegerField(allow_null=True, default=None)
    guidance_scale = serializers.FloatField(allow_null=True, default=None)
    seed = serializers.IntegerField(allow_null=True, default=None)

    def validate_stream(self, value: bool | None) -> bool | None:
        """Whoever waits for a stream would wait in vain."""
        if value:
            raise serializers.ValidationError(_("Streams are not offered here."), code="unsupported_value")
        return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for, and whether the pictures come as addresses."""

    request: GenerationRequest
    as_url: bool


def read(request: HttpRequest, user: Any) -> Wish:
    """Raises the framework's `ValidationError`, or `InvalidRequest`, for a body that is no request."""
    measure(request)
    try:
        data = json.loads(request.body)
    except RequestDataTooBig as error:
        raise RequestTooLarge(limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE) from error
    except (ValueError, RecursionError) as error:
        raise InvalidRequest from error
    if not isinstance(data, dict):
        raise InvalidRequest
    given = ImagesSerializer(data=data)
    given.is_valid(raise_exception=True)
    asked = given.validated_data
    width, height = (None, None) if asked["size"] in (None, "auto") else map(int, asked["size"].split("x"))
    slug = conf.get("OPENAI_MODELS").get(asked["model"], asked["model"])
    ours = ("prompt", "output_format", "preset", "negative_prompt", "steps", "guidance_scale", "seed")
    return Wish(
        request=GenerationRequest(
            **{name: asked[name] for name in ours},
            model=slug,
            width=width,
            height=height,
            num_images=1 if asked["n"] is None else asked["n"],
            quality=_quality(asked["quality"], user, slug),
        ),
        as_url=asked["response_format"] == "url",
    )


def images_json(request: HttpRequest, task: GenerationTask, *, as_url: bool) -> dict[str, Any]:
    """The answer: a task that has succeeded."""
    parameters = task.parameters
    images = task.images.select_related("filer_image").order_by("index")
    return {
        "created": int(task.created_at.timestamp()),
        "data": [_url_json(request, image) if as_url else _bytes_json(image) for image in images],
        "background": "opaque",
        "output_format": parameters["output_format"],
        "quality": task.request.get("quality", STANDARD),
        "size": f"{parameters['width']}x{parameters['height']}",
        "task": str(task.uuid),
    }


def model_json(model: GenerationModel, name: str) -> dict[str, Any]:
    """A model as the list of models has it."""
    return {"id": name, "object": "model", "created": 0, "owned_by": model.label}


def signed_image(signed: str) -> GeneratedImage:
    """The picture of an address that was given out less than an hour ago. Raises `NotFound`."""
    try:
        uuid = _signer.unsign(signed, max_age=URL_SECONDS)
    except BadSignature as error:
        raise NotFound from error
    image = GeneratedImage.objects.select_related("task", "filer_image").filter(uuid=uuid).first()
    if image is None:
        raise NotFound
    return image


def _quality(word: str | None, user: Any, slug: str | None) -> str:
    """The model's own words are taken as they are. What is no word at all is refused with the request."""
    if word is None or word == STANDARD:
        return STANDARD
    model = models_for(user).filter(slug=slug).first() if slug else default_model(user)
    offered = model.qualities if model else {}
    if word in offered or word not in QUALITIES:
        return word
    return next((name for name in QUALITIES[word] if name in offered), STANDARD)


def _bytes_json(image: GeneratedImage) -> dict[str, str]:
    return {"b64_json": base64.b64encode(picture_bytes(image)).decode()}


def _url_json(request: HttpRequest, image: GeneratedImage) -> dict[str, str]:
    path = reverse("cms_ai_images:openai-file", args=[_signer.sign(str(image.uuid))])
    return {"url": request.build_absolute_uri(path)}
