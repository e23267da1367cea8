"""Puts into the library what was to be accepted at once, but whose worker died, or whose storage failed, before."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError
from django.db.models import Q
from django.utils import timezone

from cms_ai_images.exceptions import AIImagesError
from cms_ai_images.library import intake
from cms_ai_images.models import GeneratedImage
from cms_ai_images.types import PictureDetails, ReviewState, Status

logger = logging.getLogger(__name__)

GRACE = timedelta(seconds=2)
"""How long a worker's own acceptance may take before somebody else does it."""
WINDOW = 500
"""Pictures that are looked at in one pass. A pass costs the same however many wait."""
PASS_SECONDS = 5.0
"""How long a pass may take: lost leases are waiting behind it while a storage hangs."""
PAUSES = (2.0, 10.0, 60.0, 600.0)
"""Seconds until a picture that could not be accepted is tried again; the last pause repeats."""


class Acceptances:
    """Where a process is in its rounds over these pictures, the oldest first, and which of them it lets rest.

    A picture that can never be accepted, because its bytes are gone, for example, keeps no other one waiting, and is
    told once.
    """

    def __init__(self) -> None:
        self._last: tuple[datetime, int] | None = None
        self._failures: dict[int, tuple[int, float]] = {}
        """For each picture that failed: how often, and when it may be tried again."""
        self._still_there: set[int] = set()

    @property
    def is_over(self) -> bool:
        """Whether every picture has been looked at since the round began."""
        return self._last is None

    def go_on(self) -> int:
        """Try the next ones. Returns how many were accepted. Lets through that the database is away."""
        until = time.monotonic() + PASS_SECONDS
        images = self._next()
        news: list[tuple[GeneratedImage, Exception]] = []
        accepted = 0
        for image in images:
            self._last = image.created_at, image.pk
            self._still_there.add(image.pk)
            if not self._is_due(image):
                continue
            try:
                intake.accept(image, PictureDetails())
                accepted += 1
            except (OperationalError, InterfaceError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not keep the others
                if self._let_rest(image):
                    news.append((image, error))
            if time.monotonic() > until:
                break
        else:
            if len(images) < WINDOW:
                self._begin_anew()
        if news:
            _tell(news)
        return accepted

    def _next(self) -> list[GeneratedImage]:
        waiting = GeneratedImage.objects.filter(
            review_state=ReviewState.DRAFT,
            task__auto_accept=True,
            task__status=Status.SUCCEEDED,
            created_at__lt=timezone.now() - GRACE,
        )
        if self._last is not None:
            created_at, pk = self._last
            waiting = waiting.filter(created_at__gte=created_at).filter(Q(created_at__gt=created_at) | Q(pk__gt=pk))
        return list(waiting.select_related("task").order_by("created_at", "pk")[:WINDOW])

    def _is_due(self, image: GeneratedImage) -> bool:
        return image.pk not in self._failures or time.monotonic() >= self._failures[image.pk][1]

    def _let_rest(self, image: GeneratedImage) -> bool:
        """Returns whether this is the first time."""
        times, _due = self._failures.get(image.pk, (0, 0.0))
        self._failures[image.pk] = times + 1, time.monotonic() + PAUSES[min(times, len(PAUSES) - 1)]
        return not times

    def _begin_anew(self) -> None:
        """What is no longer there, because it was accepted or thrown away, is forgotten."""
        self._failures = {pk: rest for pk, rest in self._failures.items() if pk in self._still_there}
        self._still_there = set()
        self._last = None


def _tell(news: list[tuple[GeneratedImage, Exception]]) -> None:
    """One line for all that failed for the first time; an example is enough."""
    image, error = news[-1]
    unexpected = None if isinstance(error, AIImagesError) else error
    logger.warning(
        "%d pictures stay drafts for now, image %s among them: %s", len(news), image.uuid, error, exc_info=unexpected
    )
