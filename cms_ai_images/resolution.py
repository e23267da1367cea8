"""From what an author asks for to what a backend is told: every value decided, every limit checked."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import secrets
from collections.abc import Sequence
from typing import Any

import rfc8785
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from cms_ai_images import conf, limits
from cms_ai_images.exceptions import (
    InvalidRequest,
    ModelNotAvailable,
    NoModelConfigured,
    NotPermitted,
    OperationNotSupported,
    OriginNotFound,
    ParameterLocked,
    ParameterNotUsed,
    ParameterOutOfRange,
    PresetDoesNotFit,
    PresetNotAvailable,
    SizeIncomplete,
    SizeNotSupported,
    WrongNumberOfReferences,
)
from cms_ai_images.models import GenerationModel, ReferencePicture, StylePreset, StylePresetVersion
from cms_ai_images.models.generation_models import FALLBACK_PARAMETERS
from cms_ai_images.models.shapes import PARAMETERS
from cms_ai_images.offers import Offer
from cms_ai_images.safety.prompt import clean_negative_prompt, clean_prompt
from cms_ai_images.types import (
    MAX_SEED,
    GenerationParameters,
    GenerationRequest,
    Limits,
    Operation,
    Origin,
    OutputFormat,
    Priority,
)

LABELS = {
    "steps": _("The number of steps"),
    "guidance_scale": _("The guidance scale"),
    "strength": _("The strength"),
    "width": _("The width"),
    "height": _("The height"),
    "quality": _("The quality"),
    "seed": _("The seed"),
    "num_images": _("The number of pictures"),
    "negative_prompt": _("The negative prompt"),
    "output_format": _("The file format"),
    "model": _("The model"),
}
"""Parameters as people call them, at the beginning of a sentence."""
NO_LIMITS = Limits()
"""Nobody's limits: what a model can do at all."""
PRESET_PARAMETERS = tuple(PARAMETERS)
"""What a preset version may set, and lock."""
STARTS_FROM: dict[str, int] = {Operation.IMAGE_TO_IMAGE.value: 1, Operation.INPAINT.value: 2}
"""How many reference pictures an operation takes: a picture, and for `inpaint` its mask. The others take none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resolved:
    """A request with every open question answered, and the limits of who asks."""

    limits: Limits
    model: GenerationModel
    preset_version: StylePresetVersion | None
    parameters: GenerationParameters
    priority: Priority
    auto_accept: bool
    origin_type: ContentType | None
    fingerprint: str


def presets_for(user: Any) -> QuerySet[StylePreset]:
    """The published presets that this user may use. A model that is others' is not lent by a preset."""
    allowed = StylePreset.objects.filter(published=True, current_version__isnull=False)
    if not user.is_superuser:
        of_others = GenerationModel.objects.filter(enabled=True).exclude(pk__in=models_for(user).values("pk"))
        allowed = allowed.filter(_open_to(user)).exclude(current_version__model__in=of_others).distinct()
    return allowed.select_related("current_version__model", "thumbnail")


def models_for(user: Any) -> QuerySet[GenerationModel]:
    """The models that this user may use, the default first."""
    models = GenerationModel.objects.filter(enabled=True)
    return models if user.is_superuser else models.filter(_open_to(user)).distinct()


def _open_to(user: Any) -> Q:
    """Rows for everybody, and those of the user's groups. May find a row once for each group."""
    return Q(groups=None) | Q(groups__in=user.groups.all())


def default_model(user: Any) -> GenerationModel:
    """The model that the setting `DEFAULT_MODEL` names, else the first enabled one."""
    models = models_for(user)
    slug = conf.get("DEFAULT_MODEL")
    model = (models.filter(slug=slug).first() if slug else None) or models.first()
    if model is None:
        raise NoModelConfigured
    return model


def resolve(user: Any, request: GenerationRequest) -> Resolved:
    """Decide everything, or raise the `AIImagesError` that says which input is at fault."""
    allowed = limits.of(user)
    prompt = clean_prompt(request.prompt, allowed.prompt_length)
    version = _preset_version(user, request.preset)
    model = _model(user, request, version)
    offer = Offer(model=model, limits=allowed, quality=request.quality)
    wishes = _wishes(request, version, offer)
    if request.operation not in model.operations:
        raise OperationNotSupported(model=model.label)
    if not allowed.allows(request.operation):
        raise NotPermitted(field="operation", permission=Operation(request.operation).label)
    if len(request.references) != STARTS_FROM.get(request.operation, 0):
        raise WrongNumberOfReferences(wanted=STARTS_FROM.get(request.operation, 0), given=len(request.references))
    if request.strength is not None and request.operation not in STARTS_FROM:
        operation = Operation(request.operation).label
        raise ParameterNotUsed(field="strength", parameter=LABELS["strength"], operation=operation)
    try:
        width, height = _size(wishes, offer)
        steps, guidance_scale = _number("steps", wishes, offer), _number("guidance_scale", wishes, offer)
        strength = _strength(wishes, offer, steps) if request.operation in STARTS_FROM else None
    except (SizeNotSupported, ParameterOutOfRange) as error:
        if version is not None and _is_presets_fault(error, request, version):
            raise PresetDoesNotFit(preset=version.preset.name, model=model.label, reason=error) from error
        raise
    unwanted = clean_negative_prompt(wishes.get("negative_prompt") or "", allowed.prompt_length)
    negative = [version.negative_prompt if version else "", unwanted]
    parameters = GenerationParameters(
        operation=request.operation,
        prompt=version.apply(prompt) if version else prompt,
        negative_prompt=", ".join(part for part in negative if part),
        width=width,
        height=height,
        steps=int(steps),
        guidance_scale=float(guidance_scale),
        seed=_seed(wishes.get("seed")),
        num_images=_num_images(request.num_images, offer),
        output_format=_output_format(wishes.get("output_format"), model),
        strength=strength,
    )
    return Resolved(
        limits=allowed,
        model=model,
        preset_version=version,
        parameters=parameters,
        priority=_priority(user, request.priority),
        auto_accept=conf.get("AUTO_ACCEPT") if request.auto_accept is None else request.auto_accept,
        origin_type=_origin_type(user, request.origin),
        fingerprint=fingerprint(model, parameters),
    )


def with_references(resolved: Resolved, pictures: Sequence[ReferencePicture]) -> Resolved:
    """The same with the pictures to start from, whose content decides the pixels as well."""
    digests = tuple(picture.sha256 for picture in pictures)
    parameters = dataclasses.replace(resolved.parameters, references=digests)
    return dataclasses.replace(resolved, parameters=parameters, fingerprint=fingerprint(resolved.model, parameters))


def check_preset(parameters: dict[str, Any], model: GenerationModel) -> None:
    """Raise `SizeNotSupported` or `ParameterOutOfRange` when this model could not do what a preset sets."""
    offer = Offer(model=model, limits=NO_LIMITS)
    _size(parameters, offer)
    for name in FALLBACK_PARAMETERS:
        _number(name, parameters, offer)


def fingerprint(model: GenerationModel, parameters: GenerationParameters) -> str:
    """SHA-256 over the canonical JSON (RFC 8785) of everything that decides the pixels."""
    spec = dataclasses.asdict(model.spec())
    return hashlib.sha256(
        rfc8785.dumps({"backend": model.backend, "model": spec, "parameters": parameters.as_dict()})
    ).hexdigest()


def _preset_version(user: Any, slug: str | None) -> StylePresetVersion | None:
    if not slug:
        return None
    preset = presets_for(user).filter(slug=slug).first()
    if preset is None:
        raise PresetNotAvailable
    return preset.current_version


def _wishes(request: GenerationRequest, version: StylePresetVersion | None, offer: Offer) -> dict[str, Any]:
    """The request's values over its quality's over the preset's; a locked one may only be repeated."""
    asked = {name: value for name in PRESET_PARAMETERS if (value := getattr(request, name)) is not None}
    chosen = {**offer.sets, **asked}
    if version is None:
        return chosen
    preset = {name: value for name, value in version.parameters.items() if name in PRESET_PARAMETERS}
    for name in set(version.locked) & set(chosen):
        if chosen[name] != preset.get(name):
            field = name if name in asked else "quality"
            raise ParameterLocked(field=field, preset=version.preset.name, parameter=LABELS[field])
    return {**preset, **chosen}


def _model(user: Any, request: GenerationRequest, version: StylePresetVersion | None) -> GenerationModel:
    of_preset = version.model if version and version.model and version.model.enabled else None
    other = bool(request.model and of_preset and request.model != of_preset.slug)
    if version and other and "model" in version.locked:
        raise ParameterLocked(field="model", preset=version.preset.name, parameter=LABELS["model"])
    if request.model:
        model = models_for(user).filter(slug=request.model).first()
        if model is None:
            raise ModelNotAvailable
        return model
    return of_preset or default_model(user)


def _size(wishes: dict[str, Any], offer: Offer) -> tuple[int, int]:
    width, height = wishes.get("width"), wishes.get("height")
    if width is None and height is None:
        width, height = offer.sizes[0]
    if width is None or height is None:
        missing = "width" if width is None else "height"
        raise SizeIncomplete(field=missing, parameter=LABELS[missing])
    if [width, height] not in offer.sizes:
        sizes = ", ".join(f"{w} × {h}" for w, h in offer.sizes)
        raise SizeNotSupported(model=offer.model.label, width=width, height=height, sizes=sizes)
    return int(width), int(height)


def _number(name: str, wishes: dict[str, Any], offer: Offer) -> float:
    value = wishes.get(name, offer.default(name))
    low, high = offer.bounds(name)
    if not low <= value <= high:
        raise ParameterOutOfRange(field=name, parameter=LABELS[name], low=low, high=high)
    return value


def _strength(wishes: dict[str, Any], offer: Offer, steps: float) -> float:
    """How far a picture may leave what it starts from: by at least one step."""
    strength = _number("strength", wishes, offer)
    if int(steps * strength) < 1:
        low, high = math.ceil(100 / steps) / 100, offer.bounds("strength")[1]
        raise ParameterOutOfRange(field="strength", parameter=LABELS["strength"], low=low, high=high)
    return float(strength)


def _is_presets_fault(error: InvalidRequest, request: GenerationRequest, version: StylePresetVersion) -> bool:
    """Whether the preset, not the author, gave the value that is wrong."""
    names = {"width", "height"} if isinstance(error, SizeNotSupported) else {str(error.field)}
    return any(name in version.parameters and getattr(request, name) is None for name in names)


def _seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbelow(MAX_SEED + 1)
    if not 0 <= seed <= MAX_SEED:
        raise ParameterOutOfRange(field="seed", parameter=LABELS["seed"], low=0, high=MAX_SEED)
    return seed


def _num_images(number: int, offer: Offer) -> int:
    if not 1 <= number <= offer.max_images:
        raise ParameterOutOfRange(field="num_images", parameter=LABELS["num_images"], low=1, high=offer.max_images)
    return number


def _output_format(wish: str | None, model: GenerationModel) -> str:
    value = wish or model.default_parameters.get("output_format") or conf.get("OUTPUT_FORMAT")
    if value not in OutputFormat.values:
        raise InvalidRequest(field="output_format")
    return str(value)


def _priority(user: Any, word: str) -> Priority:
    try:
        priority = Priority[word.upper()]
    except KeyError as error:
        raise InvalidRequest(field="priority") from error
    if priority is Priority.HIGH and not user.has_perm("cms_ai_images.use_high_priority"):
        raise NotPermitted(field="priority", permission=_("Can generate with high priority"))
    return priority


def _origin_type(user: Any, origin: Origin | None) -> ContentType | None:
    """The content type of the object that the pictures are for, which must exist and be the author's business."""
    if origin is None:
        return None
    app_label, _dot, model_name = origin.label.partition(".")
    try:
        content_type = ContentType.objects.get_by_natural_key(app_label, model_name.lower())
    except ContentType.DoesNotExist as error:
        raise OriginNotFound from error
    verbs = ("change", "add", "view")
    if not any(user.has_perm(f"{app_label}.{verb}_{content_type.model}") for verb in verbs):
        raise OriginNotFound
    if origin.object_id and not _exists(content_type, origin.object_id):
        raise OriginNotFound
    return content_type


def _exists(content_type: ContentType, object_id: str) -> bool:
    model = content_type.model_class()
    if model is None:
        return False
    try:
        key = model._meta.pk.to_python(object_id)
    except ValidationError as error:
        raise OriginNotFound from error
    return model._base_manager.filter(pk=key).exists()
