"""The words of the domain, and the frozen values that cross its boundaries.

Nothing here touches the database, Redis or a GPU, so every other module may import it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from django.db.models import IntegerChoices, TextChoices
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from PIL.Image import Image

STANDARD = "standard"
"""The quality that every model has. A model row names the others, and what they set."""
MAX_SEED = 2**32 - 1
"""Largest seed. JavaScript numbers lose 64-bit integers, so a seed has 32 bits."""
PREVIEW_SIDE = 128
"""Longest side of a preview that a backend makes while it draws, in pixels."""


class Status(TextChoices):
    """Where a task is in its life. `lifecycle.SOURCES` lists the allowed moves."""

    QUEUED = "queued", _("Queued")
    """Waits for a worker; its row, not its RQ job, is what makes it wait."""
    RUNNING = "running", _("Running")
    """Held by one worker under a lease, fenced by (worker, attempt)."""
    SUCCEEDED = "succeeded", _("Succeeded")
    """All of its pictures are stored. Final."""
    FAILED = "failed", _("Failed")
    """No attempt is left, or the error cannot be mended by trying again. Final until somebody retries it."""
    CANCELLED = "cancelled", _("Cancelled")
    """Its owner no longer wants it. Final."""

    @classmethod
    def final(cls) -> frozenset[Status]:
        """The states that no worker will change any more."""
        return frozenset({cls.SUCCEEDED, cls.FAILED, cls.CANCELLED})

    @classmethod
    def active(cls) -> frozenset[Status]:
        """The states that something will still change."""
        return frozenset({cls.QUEUED, cls.RUNNING})


class Operation(TextChoices):
    """What a task does. A model row lists the operations that it supports."""

    TEXT_TO_IMAGE = "text_to_image", _("Text to image")
    IMAGE_TO_IMAGE = "image_to_image", _("Image to image")
    INPAINT = "inpaint", _("Inpaint")
    OUTPAINT = "outpaint", _("Outpaint")
    UPSCALE = "upscale", _("Upscale")


class ReferenceKind(TextChoices):
    """Where a reference picture comes from, and what then names it."""

    UPLOAD = "upload", _("Uploaded")
    """The id of a picture that was uploaded before."""
    IMAGE = "image", _("Generated")
    """The id of a picture that the author had generated."""
    LIBRARY = "library", _("From the media library")
    """The number of a file in the media library that the author may read."""
    URL = "url", _("From another server")
    """An https address on one of the servers of the setting `REMOTE_PICTURE_HOSTS`."""


class Priority(IntegerChoices):
    """Order within a pool; each priority has an RQ queue of its own."""

    LOW = 10, _("Low")
    NORMAL = 20, _("Normal")
    HIGH = 30, _("High")

    @property
    def word(self) -> str:
        """The name used in the API and in queue names: `low`, `normal` or `high`."""
        return self.name.lower()


class ReviewState(TextChoices):
    """What became of a generated picture."""

    DRAFT = "draft", _("Draft")
    """Stored privately; only its owner sees it."""
    ACCEPTED = "accepted", _("In the media library")
    """Copied into the media library; the draft bytes are gone."""
    DISCARDED = "discarded", _("Discarded")
    """Its owner does not want it; the draft bytes are gone."""
    PURGED = "purged", _("Purged")
    """Nobody wanted it within the retention time; the draft bytes are gone."""


class OutputFormat(TextChoices):
    """How a picture is encoded when it is stored."""

    PNG = "png", "PNG"
    WEBP = "webp", "WebP"
    JPEG = "jpeg", "JPEG"

    @property
    def mime_type(self) -> str:
        """The media type of files in this format."""
        return f"image/{self.value}"

    @property
    def extension(self) -> str:
        """The usual file name ending, without the dot."""
        return "jpg" if self is OutputFormat.JPEG else str(self.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """The object that a request was made for, so that its pictures can be found from there.

    `label` is a model label such as `articles.article`; `object_id` is its primary key as text, empty for an
    object that is not saved yet; `field` is the form field's name.
    """

    label: str
    object_id: str = ""
    field: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """A picture to start from: a `ReferenceKind`, and what that names it by, as text."""

    kind: str
    value: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """What an author asks for. `None` means: as the preset, then the model, says.

    Sizes are in pixels. `seed` is 0..2**32-1; `None` draws a fresh one. Picture *i* of a request uses `seed + i`
    (modulo 2**32), so that any one of them can be made again alone. The same request with the same explicit seed gets
    the pictures that are there, unless `reuse` is off.

    `image_to_image` starts from one of `references`; `strength` is how far it may leave it, from 0 to 1. `inpaint`
    takes a second one of the same proportions as its mask, white where something new is wanted and black where not.
    """

    prompt: str
    operation: str = Operation.TEXT_TO_IMAGE.value
    negative_prompt: str | None = None
    preset: str | None = None
    model: str | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    strength: float | None = None
    references: tuple[Reference, ...] = ()
    quality: str = STANDARD
    seed: int | None = None
    num_images: int = 1
    output_format: str | None = None
    priority: str = Priority.NORMAL.word
    auto_accept: bool | None = None
    reuse: bool = True
    origin: Origin | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationParameters:
    """What a backend is told to do: every value resolved, frozen on the task when it was queued.

    `references` are the SHA-256 of the pictures to start from. `pictures` are these themselves, RGB and of the size to
    draw, which the worker adds; they are neither stored nor compared. `strength` is `None` where there are none;
    else about `steps * strength` of the steps are drawn, and at least one.
    """

    operation: str
    prompt: str
    negative_prompt: str
    width: int
    height: int
    steps: int
    guidance_scale: float
    seed: int
    num_images: int
    output_format: str
    strength: float | None = None
    references: tuple[str, ...] = ()
    pictures: tuple[Image, ...] = dataclasses.field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "references", tuple(self.references))  # JSON knows lists alone

    @property
    def seeds(self) -> list[int]:
        """One seed per picture."""
        return [(self.seed + index) % (MAX_SEED + 1) for index in range(self.num_images)]

    def as_dict(self) -> dict[str, Any]:
        """The JSON object stored on the task."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "pictures"]
        return {**{name: getattr(self, name) for name in names}, "references": list(self.references)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one person may ask for. `None` is no limit; only a task always has to end.

    `pixels` are width × height of a picture, `prompt_length` counts characters, `queue_length` everybody's waiting
    tasks of a pool; `storage_mib` is for drafts, and `operations` are what may be asked for at all.
    """

    requests_per_minute: int | None = None
    active_tasks: int | None = None
    images_per_request: int | None = None
    pixels: int | None = None
    steps: int | None = None
    prompt_length: int | None = None
    queue_length: int | None = None
    task_seconds: float = math.inf
    storage_mib: int | None = None
    operations: tuple[str, ...] | None = None

    def allows(self, operation: str) -> bool:
        """Whether this person may ask for this kind of work."""
        return self.operations is None or operation in self.operations


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What a backend needs to load a model: a `GenerationModel` row without the database.

    `source` is a hub id or a folder; `revision` a hub revision, or empty. `weights` are extra safetensors files.
    """

    slug: str
    source: str
    revision: str = ""
    dtype: str = "auto"
    cpu_offload: str = "none"
    vae_tiling: bool = False
    vae_slicing: bool = False
    weights: tuple[dict[str, Any], ...] = ()
    options: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratedPicture:
    """One picture as a backend returns it: an RGB image of the requested size, and the seed that made it."""

    image: Image
    seed: int


PreviewSource = Callable[[], "list[list[Image]]"]
"""Makes small pictures of what there is so far: RGB, at most `PREVIEW_SIDE` pixels, a list for each request.

It works only while the callback that got it runs. The list of a request that is not being drawn at this step is empty.
"""


class StepCallback(Protocol):
    """Called by a backend after each step with (steps done, steps in all), and a way to look at the pictures.

    It raises to stop the work: `TaskCancelled`, `DeadlineExceeded` or `LeaseLost`. A backend lets that pass.
    """

    def __call__(self, step: int, total: int, previews: PreviewSource | None = None) -> None: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fence:
    """Who may write to a running task: the worker that claimed it, in that attempt, and nobody else.

    Whoever takes a lost claim away names the `lease` that has ended: one renewed at that moment is not lost.
    """

    task_id: int
    worker_id: int
    attempt: int
    lease: datetime | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureDetails:
    """What an author says of a picture on its way into the media library, or about a file that is there already.

    `None` means: not said. A new file gets what the app proposes, one that is there keeps what it has. An empty name or
    alternative text is not said either: only `decorative` makes the latter empty. `focal_point` is (x, y) in fractions
    of width and height, from the top left.
    """

    name: str | None = None
    alt_text: str | None = None
    decorative: bool = False
    caption: str | None = None
    credit: str | None = None
    folder_id: int | None = None
    focal_point: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a running attempt is, as its worker last said; `eta_seconds` where it could tell."""

    attempt: int
    step: int
    total: int
    eta_seconds: int | None = None
