"""The models that pictures can be drawn with."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from cms_ai_images import conf
from cms_ai_images.backends import get_backend_class
from cms_ai_images.exceptions import UnknownBackend
from cms_ai_images.types import STANDARD, ModelSpec, Operation, Priority

from . import shapes

FALLBACK_PARAMETERS: dict[str, Any] = {"steps": 20, "guidance_scale": 5.0, "strength": 0.6}
"""Where neither the request nor the preset nor the model says anything."""
FALLBACK_LIMITS: dict[str, list[float]] = {"steps": [1, 150], "guidance_scale": [0, 30], "strength": [0, 1]}
"""Where the model sets no limits of its own."""


def default_operations() -> list[str]:
    """Text to image is what every model can do."""
    return [Operation.TEXT_TO_IMAGE.value]


def default_sizes() -> list[list[int]]:
    """One square size, in pixels."""
    return [[1024, 1024]]


class GenerationModel(models.Model):
    """A model, where it is, how it is loaded, what it may be asked for and what that costs."""

    class DType(models.TextChoices):
        AUTO = "auto", _("Automatic (bfloat16 on a GPU, float32 on a CPU)")
        FLOAT32 = "float32", "float32"
        FLOAT16 = "float16", "float16"
        BFLOAT16 = "bfloat16", "bfloat16"

    class Offload(models.TextChoices):
        NONE = "none", _("Keep everything on the GPU")
        MODEL = "model", _("Move whole parts to the GPU when they are needed")
        SEQUENTIAL = "sequential", _("Move layer by layer (slow, for very small GPUs)")

    slug = models.SlugField(_("slug"), unique=True)
    label = models.CharField(_("label"), max_length=100)
    description = models.TextField(_("description"), blank=True)
    enabled = models.BooleanField(_("enabled"), default=True)
    position = models.PositiveSmallIntegerField(
        _("position"), default=0, help_text=_("The first enabled model is the default.")
    )

    backend = models.CharField(_("backend"), max_length=50, default="diffusers")
    source = models.CharField(
        _("source"),
        max_length=500,
        blank=True,
        help_text=_("A hub id such as Tongyi-MAI/Z-Image-Turbo, or a folder on the worker."),
    )
    revision = models.CharField(
        _("revision"), max_length=100, blank=True, help_text=_("A hub revision; pin it in production.")
    )
    weights = models.JSONField(
        _("extra weights"), default=list, blank=True, help_text=_("LoRA or replacement weights, as safetensors files.")
    )
    dtype = models.CharField(_("number format"), max_length=10, choices=DType, default=DType.AUTO)
    cpu_offload = models.CharField(_("CPU offload"), max_length=10, choices=Offload, default=Offload.NONE)
    vae_tiling = models.BooleanField(
        _("VAE tiling"), default=False, help_text=_("Decodes large pictures in tiles to save memory.")
    )
    vae_slicing = models.BooleanField(
        _("VAE slicing"), default=False, help_text=_("Decodes the pictures of a batch one by one.")
    )
    options = models.JSONField(_("backend options"), default=dict, blank=True)

    operations = models.JSONField(_("operations"), default=default_operations)
    sizes = models.JSONField(
        _("sizes"), default=default_sizes, help_text=_("[[width, height], ...] in pixels; the first is the default.")
    )
    default_parameters = models.JSONField(
        _("default parameters"),
        default=dict,
        blank=True,
        help_text=_('For example {"steps": 20, "guidance_scale": 5.0}.'),
    )
    parameter_limits = models.JSONField(
        _("parameter limits"),
        default=dict,
        blank=True,
        help_text=_('For example {"steps": [1, 50], "guidance_scale": [0, 15]}.'),
    )
    qualities = models.JSONField(
        _("qualities"),
        default=dict,
        blank=True,
        help_text=_(
            'What can be chosen beside “standard”, and what it sets, for example {"high": {"steps": 40}}, even beyond '
            "the limits above."
        ),
    )
    prices = models.JSONField(
        _("prices"),
        default=dict,
        blank=True,
        help_text=_(
            'Points per picture, for example {"text_to_image": {"standard": 30, "high": 60}}. A quality without a '
            "price costs as much as “standard”."
        ),
    )
    groups = models.ManyToManyField(
        "auth.Group",
        verbose_name=_("groups"),
        blank=True,
        related_name="+",
        help_text=_("Who may use it; nobody chosen means everybody."),
    )
    pool = models.SlugField(
        _("pool"), default="images", help_text=_("The group of workers, and of RQ queues, that serves this model.")
    )

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        ordering = ["position", "label"]
        verbose_name = _("generation model")
        verbose_name_plural = _("generation models")
        permissions = [("manage_models", _("Can manage AI image models"))]

    def __str__(self) -> str:
        return self.label

    @property
    def default_size(self) -> tuple[int, int]:
        """(width, height) in pixels used when a request names none."""
        width, height = self.sizes[0]
        return width, height

    def price(self, operation: str, quality: str = STANDARD) -> int:
        """Points for one picture; 0 where no price is set. No quality is cheaper for having none of its own."""
        prices = self.prices.get(operation, {})
        return int(prices.get(quality, prices.get(STANDARD, 0)))

    def spec(self) -> ModelSpec:
        """What a backend needs to know, without the database."""
        return ModelSpec(
            slug=self.slug,
            source=self.source,
            revision=self.revision,
            dtype=self.dtype,
            cpu_offload=self.cpu_offload,
            vae_tiling=self.vae_tiling,
            vae_slicing=self.vae_slicing,
            weights=tuple(self.weights),
            options=self.options,
        )

    def clean(self) -> None:
        """Refuse what would only fail in the worker, at the field where it belongs."""
        fill_empty_json(self)
        errors: dict[str, Any] = {}
        missing = [
            name for p in Priority if (name := f"{self.pool}-{p.word}") not in getattr(settings, "RQ_QUEUES", {})
        ]
        if missing:
            errors["pool"] = _("The settings have no queue called %(queues)s. Add it to RQ_QUEUES.") % {
                "queues": ", ".join(missing)
            }
        if self.backend not in conf.get("BACKENDS"):
            errors["backend"] = _("No backend is called “%(backend)s”. Known ones: %(known)s.") % {
                "backend": self.backend,
                "known": ", ".join(sorted(conf.get("BACKENDS"))),
            }
        if self.backend == "diffusers" and not self.source:
            errors["source"] = _("Name a hub id or a folder.")
        if not shapes.is_list_of_objects(self.weights) or not shapes.is_storable(self.weights):
            errors["weights"] = _("Give a JSON list of objects.")
        if not isinstance(self.options, dict) or not shapes.is_storable(self.options):
            errors["options"] = _("Give a JSON object.")
        elif "max_batch" in self.options and not shapes.is_batch_limit(self.options["max_batch"]):
            errors["options"] = _(
                "Give max_batch a whole number of pictures from 1 to %(most)d, or one for each size: "
                '{"1024x1024": 2, "default": 8}.'
            ) % {"most": shapes.MAX_BATCH}
        if not shapes.is_list_of_sizes(self.sizes):
            errors["sizes"] = _(
                "Give at least one [width, height] pair of whole numbers from 8 to 8192, each a multiple of 8."
            )
        if (
            not isinstance(self.operations, list)
            or not set(map(str, self.operations)) <= set(Operation.values)
            or not self.operations
        ):
            errors["operations"] = _("Choose from: %(known)s.") % {"known": ", ".join(Operation.values)}
        elif (can := self._backend_operations()) is not None and (beyond := set(self.operations) - can):
            errors["operations"] = _("The backend “%(backend)s” cannot do this: %(names)s. It can do: %(known)s.") % {
                "backend": self.backend,
                "names": ", ".join(sorted(beyond)),
                "known": ", ".join(sorted(can)),
            }
        if not shapes.is_dict_of_ranges(self.parameter_limits):
            errors["parameter_limits"] = _("Give an object of [lowest, highest] pairs.")
        elif wrong := shapes.wrong_limits(self.parameter_limits):
            errors["parameter_limits"] = _("Cannot be used: %(names)s. Possible are %(known)s.") % {
                "names": ", ".join(wrong),
                "known": ", ".join(f"{name} {low}–{high}" for name, (_kind, low, high) in shapes.LIMIT_BOUNDS.items()),
            }
        if not shapes.is_quality_list(self.qualities):
            errors["qualities"] = _(
                "Give an object of objects that set steps, guidance_scale or both, for example "
                '{"high": {"steps": 40}}. Names are short words in small letters; “standard” needs no line here.'
            )
        if not shapes.is_price_list(self.prices):
            errors["prices"] = _(
                "Give an object of objects of whole numbers up to %(most)d, for example "
                '{"text_to_image": {"standard": 30}}.'
            ) % {"most": shapes.MAX_POINTS}
        elif "qualities" not in errors and (names := self._never_charged()):
            errors["prices"] = _("Nobody can ask for this, so it would never be charged: %(names)s.") % {
                "names": ", ".join(names)
            }
        if message := self._wrong_defaults("parameter_limits" not in errors):
            errors["default_parameters"] = message
        if errors:
            raise ValidationError(errors)

    def _backend_operations(self) -> frozenset[str] | None:
        """What the backend can do; `None` where its class is not to be had on this side."""
        try:
            return get_backend_class(self.backend).operations
        except (UnknownBackend, ImproperlyConfigured):
            return None

    def _never_charged(self) -> list[str]:
        """Prices of what is no operation, or no quality of this model: a slip of the pen would give pictures away."""
        return [
            f"{operation}.{quality}"
            for operation, prices in self.prices.items()
            for quality in prices
            if operation not in Operation.values or quality not in {STANDARD, *self.qualities}
        ]

    def _wrong_defaults(self, check_limits: bool) -> str:
        """What is wrong with the default parameters; they hold where an author says nothing, so they must work."""
        if not isinstance(self.default_parameters, dict):
            return str(_("Give a JSON object."))
        if wrong := shapes.wrong_parameters(self.default_parameters, shapes.MODEL_PARAMETERS):
            return _("Cannot be used: %(names)s. Possible are %(known)s, each with a value of its kind.") % {
                "names": ", ".join(wrong),
                "known": ", ".join(shapes.MODEL_PARAMETERS),
            }
        for name, fallback in FALLBACK_PARAMETERS.items():
            value = self.default_parameters.get(name, fallback)
            low, high = self.parameter_limits.get(name, FALLBACK_LIMITS[name]) if check_limits else (value, value)
            if not low <= value <= high:
                return _("Set %(name)s to a value from %(low)s to %(high)s; it would be %(value)s.") % {
                    "name": name,
                    "low": low,
                    "high": high,
                    "value": value,
                }
        return ""


def fill_empty_json(instance: models.Model) -> None:
    """Give JSON fields their default where a form's empty box made them `None`, which no column takes."""
    for field in instance._meta.concrete_fields:
        if isinstance(field, models.JSONField) and field.blank and getattr(instance, field.attname) is None:
            setattr(instance, field.attname, field.get_default())
