"""What a backend is: one class with one required method.

A backend turns frozen parameters into pictures. It knows nothing of tasks, users, storage or the database, so that it
can be tried, tested and measured alone. Its module is imported by web processes too (the registry may name it in a
check), so anything heavy is imported inside the methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import ClassVar

from PIL import ImageChops
from PIL.Image import Image

from cms_ai_images.types import GeneratedPicture, GenerationParameters, ModelSpec, Operation, StepCallback


def keep_unmasked(picture: Image, parameters: GenerationParameters) -> Image:
    """The picture, and where a mask is dark what was there before, to the pixel; in between, some of both."""
    if len(parameters.pictures) < 2:
        return picture
    before, mask = parameters.pictures
    return ImageChops.composite(picture, before, mask.convert("L"))


class Backend(ABC):
    """One loaded model. Used by one thread at a time; a worker keeps it from task to task."""

    operations: ClassVar[frozenset[str]] = frozenset({Operation.TEXT_TO_IMAGE.value})
    """What this backend can do at all; a model row may offer less."""
    provider: ClassVar[str | None] = None
    """Who else is sent the prompt, as authors know them; `None` where it stays on the organisation's own machines."""
    supports_batches: ClassVar[bool] = False
    """Whether `generate` takes several requests at once. Without it, it is only ever given one."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.fitting: dict[tuple[int, int], int] = {}
        """How many pictures of (width, height) pixels went into memory at once, where more did not."""

    @classmethod  # noqa: B027 (some backends need no files)
    def check(cls, spec: ModelSpec) -> None:
        """Look for what loading would miss, without loading or downloading anything.

        Raises a `GenerationError` as `load` does.
        """

    def load(self) -> None:  # noqa: B027 (some backends have nothing to load)
        """Bring the model into memory. Called before the first `generate`; calling it again does nothing.

        Raises a `GenerationError` (`ModelFilesMissing`, `UnsafeWeights`, `BackendNotInstalled`, `OutOfMemory`, ...)
        that says what an administrator has to mend.
        """

    @abstractmethod
    def generate(self, requests: Sequence[GenerationParameters], on_step: StepCallback) -> list[list[GeneratedPicture]]:
        """Draw for each request, in order, `num_images` RGB pictures of its size, one for each of its `seeds`.

        The requests of a call share operation, width, height, steps, guidance_scale, strength and `batch_key`; prompts,
        negative prompts, seeds, pictures and num_images differ. A request's pictures are the same, up to rounding,
        whatever company it is in. Pictures that the model's own safety check withholds are left out:
        `GeneratedPicture.seed` says which are there.

        `on_step(done, total, previews)` is called after each step, from this thread. What it raises stops the work and
        comes out of here unchanged, with the model ready for the next call. Any other failure is a `GenerationError`,
        and concerns the whole call: one request may have spoilt it for the others, so try them one by one.
        """

    def batch_key(self, parameters: GenerationParameters) -> Hashable:
        """What requests must have in common to share a call, beyond operation, size, steps and guidance.

        Only asked where `supports_batches`, and for each claim, so keep it cheap. It means something once the model is
        loaded; until then, whatever cannot be told must be unequal, and is drawn alone.
        """
        return ()

    def unload(self) -> None:  # noqa: B027 (nor to unload)
        """Give the memory back. The next `load` starts afresh."""

    @property
    def memory(self) -> int:
        """Bytes that the loaded model occupies; 0 where that is not known."""
        return 0

    @property
    def device(self) -> str:
        """Where the work is done, for people to read, e.g. `cuda (NVIDIA L4)`. Meaningful once loaded."""
        return "cpu"

    @property
    def revision(self) -> str:
        """Which state of the model was really loaded, e.g. a hub commit; empty where that is not known."""
        return ""
