"""What must hold after every bad day, once all is quiet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from django.conf import settings
from django.db.models import Sum
from filer.models import File
from PIL import Image

from cms_ai_images.exceptions import AIImagesError
from cms_ai_images.library import drafts
from cms_ai_images.models import CreditAccount, CreditEntry, GeneratedImage, GenerationTask
from cms_ai_images.types import Status

NAMES = (
    "every task ends in a final state, and is known why",
    "as many pictures as were asked for, each once and readable",
    "nothing lands twice in the library",
    "points are charged once, and come back once",
    "balances are the sums of their entries",
    "no orphan among the drafts",
    "no orphan among the public files",
)


def violations(asked: list[int]) -> Iterator[tuple[str, str]]:
    """(name, what was seen) for everything that is wrong with the tasks of a run, and with what all runs left."""
    tasks = list(GenerationTask.objects.filter(pk__in=asked).prefetch_related("images__filer_image"))
    if len(tasks) != len(set(asked)):
        yield NAMES[0], f"{len(set(asked)) - len(tasks)} tasks are gone"
    for task in tasks:
        for name, checked in zip(NAMES, (_state(task), _pictures(task), _landed(task), _points(task)), strict=False):
            yield from ((name, f"task {task.uuid} ({task.status}): {problem}") for problem in checked)
    yield from ((NAMES[4], problem) for problem in _balances())
    yield from ((NAMES[5], problem) for problem in _orphan_drafts())
    yield from ((NAMES[6], problem) for problem in _orphan_public_files())


def _state(task: GenerationTask) -> Iterator[str]:
    if not task.is_final:
        yield "not final"
    if task.status == Status.FAILED and not (task.error_code and task.error_message):
        yield "failed without a reason"
    if task.status == Status.SUCCEEDED and task.error_code:
        yield f"succeeded, and still says {task.error_code}"


def _pictures(task: GenerationTask) -> Iterator[str]:
    images = sorted(task.images.all(), key=lambda image: image.index)
    expected = task.parameters["num_images"] if task.status == Status.SUCCEEDED else 0
    if [image.index for image in images] != list(range(expected)):
        yield f"{expected} pictures expected, indexes are {[image.index for image in images]}"
    for image in images:
        try:
            with Image.open(BytesIO(_bytes(image))) as picture:
                picture.load()
                size = picture.size
        except (AIImagesError, OSError) as error:
            yield f"picture {image.index} ({image.review_state}) cannot be read: {error}"
            continue
        if size != (task.parameters["width"], task.parameters["height"]):
            yield f"picture {image.index} has the size {size}"


def _bytes(image: GeneratedImage) -> bytes:
    """The picture as it is in the library, or as a draft, which has a preview beside it."""
    if image.filer_image is not None:
        with image.filer_image.file.storage.open(image.filer_image.file.name) as file:
            return bytes(file.read())
    with Image.open(BytesIO(drafts.read(image, preview=True))) as preview:
        preview.load()
    return drafts.read(image)


def _landed(task: GenerationTask) -> Iterator[str]:
    accepted = sum(image.filer_image is not None for image in task.images.all())
    in_library = File.objects.filter(description__contains=str(task.uuid)).count()
    if accepted != in_library:
        yield f"{accepted} accepted pictures, {in_library} in the library"
    if task.auto_accept and task.status == Status.SUCCEEDED and accepted != task.parameters["num_images"]:
        yield f"was to be accepted at once; {accepted} pictures are"


def _points(task: GenerationTask) -> Iterator[str]:
    entries = CreditEntry.objects.filter(task_uuid=task.uuid)
    for charge_round in range(1, task.charge_round + 1):
        booked = Counter({entry.kind: entry.amount for entry in entries.filter(charge_round=charge_round)})
        kinds = sorted(entries.filter(charge_round=charge_round).values_list("kind", flat=True))
        is_last = charge_round == task.charge_round
        end = "settle" if is_last and task.status == Status.SUCCEEDED else "refund"
        if kinds != sorted(["reserve", end]):
            yield f"round {charge_round} has the entries {kinds}"
            continue
        paid = -sum(booked.values())
        if paid != (task.cost if end == "settle" else 0):
            yield f"round {charge_round} was charged {paid} of {task.cost}"


def _balances() -> Iterator[str]:
    for account in CreditAccount.objects.annotate(booked=Sum("entries__amount")):
        if account.balance != account.booked:
            yield f"account {account}: balance {account.balance}, entries {account.booked}"


def _orphan_drafts() -> Iterator[str]:
    kept = set(GeneratedImage.objects.exclude(file="").values_list("file", flat=True))
    wanted = kept | {drafts.preview_key(key) for key in kept}
    yield from (f"draft {name}" for name in sorted(_files(settings.VAR / "drafts") - wanted))


def _orphan_public_files() -> Iterator[str]:
    wanted = set(File.objects.values_list("file", flat=True))
    yield from (f"public file {name}" for name in sorted(_files(Path(settings.MEDIA_ROOT)) - wanted))


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
