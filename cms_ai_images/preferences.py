"""What the dialog remembers for each user: last settings, favourite styles, and named sets of settings."""

from __future__ import annotations

import dataclasses
import re
import uuid
from collections.abc import Callable
from typing import Any

from django.db import transaction

from cms_ai_images.exceptions import InvalidRequest, NotFound, PresetNotAvailable, TooManyFavourites
from cms_ai_images.models import UserPreference
from cms_ai_images.models.shapes import is_number, is_whole
from cms_ai_images.resolution import presets_for
from cms_ai_images.safety.prompt import clean_text
from cms_ai_images.types import MAX_SEED, OutputFormat, Priority

MAX_FAVOURITES = 20
MAX_FAVOURITE_PRESETS = 200
MAX_TEXT = 10_000
"""Characters of a text that is remembered, whatever may be asked for."""
NAME_LENGTH = 60
"""Characters of a favourite's name."""

SIZE = re.compile(r"auto|[1-9]\d{0,4}x[1-9]\d{0,4}")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[-\w]{0,50}", value))


def _is_between(low: float, high: float, test: Callable[[Any], bool] = is_whole) -> Callable[[Any], bool]:
    return lambda value: test(value) and low <= value <= high


def _or_none(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or test(value)


SETTINGS: dict[str, Callable[[Any], bool]] = {
    "preset": _is_name,
    "model": _is_name,
    "quality": _is_name,
    "size": lambda value: isinstance(value, str) and bool(SIZE.fullmatch(value)),
    "num_images": _is_between(1, 100),
    "negative_prompt": lambda value: (
        isinstance(value, str) and len(value) <= MAX_TEXT and clean_text(value) == value.strip()
    ),
    "steps": _or_none(_is_between(1, 10_000)),
    "guidance_scale": _or_none(_is_between(0, 1000, is_number)),
    "seed": _or_none(_is_between(0, MAX_SEED)),
    "output_format": lambda value: value == "" or value in OutputFormat.values,
    "priority": lambda value: value in [priority.word for priority in Priority],
}
"""What can be remembered, and what each value must be. Whether it is still possible is asked when it is used."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preferences:
    """All of one user's. A favourite is {id, name, settings}."""

    last: dict[str, Any]
    favourite_presets: list[str]
    favourites: list[dict[str, Any]]


def of(user: Any) -> Preferences:
    """What is remembered for this user; nothing is stored by asking. Two queries at most."""
    row = UserPreference.objects.filter(user=user).first()
    if row is None:
        return Preferences(last={}, favourite_presets=[], favourites=[])
    liked = favourite_presets(user)
    return Preferences(last=row.last, favourite_presets=liked, favourites=_favourites(row))


def favourite_presets(user: Any) -> list[str]:
    """The slugs of the styles that this user likes and may use, in the order of the styles."""
    liked = UserPreference.favourite_presets.through.objects.filter(userpreference__user=user)
    return [preset.slug for preset in presets_for(user).filter(pk__in=liked.values("stylepreset"))]


def remember(user: Any, *, last: Any = None, favourite_presets: Any = None) -> None:
    """Store last settings, favourite styles (slugs), or both. `None` leaves what is there.

    Raises `InvalidRequest` with the field that is at fault, `PresetNotAvailable` for a style that the user may not use.
    """
    fresh = None if last is None else check_settings(last, field="last")
    presets = None if favourite_presets is None else _presets(user, favourite_presets)
    with transaction.atomic():
        row = _locked(user)
        if fresh is not None:
            row.last = fresh
            row.save(update_fields=["last"])
        if presets is not None:
            row.favourite_presets.set(presets)


def add_favourite(user: Any, name: Any, settings: Any) -> dict[str, Any]:
    """Keep a named set of settings and return it. Raises `InvalidRequest` or `TooManyFavourites`."""
    if not isinstance(name, str) or not clean_text(name) or len(clean_text(name)) > NAME_LENGTH:
        raise InvalidRequest(field="name")
    favourite = {"id": uuid.uuid4().hex, "name": clean_text(name), "settings": check_settings(settings)}
    with transaction.atomic():
        row = _locked(user)
        kept = _favourites(row)
        if len(kept) >= MAX_FAVOURITES:
            raise TooManyFavourites(limit=MAX_FAVOURITES)
        row.favourites = [*kept, favourite]
        row.save(update_fields=["favourites"])
    return favourite


def remove_favourite(user: Any, favourite_id: str) -> None:
    """Forget a named set of settings. Raises `NotFound` when there is none of this id."""
    with transaction.atomic():
        row = _locked(user)
        favourites = _favourites(row)
        kept = [favourite for favourite in favourites if favourite["id"] != favourite_id]
        if len(kept) == len(favourites):
            raise NotFound
        row.favourites = kept
        row.save(update_fields=["favourites"])


def _favourites(row: UserPreference) -> list[dict[str, Any]]:
    """Those that are whole: the admin lets anything be written into the column."""
    if not isinstance(row.favourites, list):
        return []
    return [each for each in row.favourites if isinstance(each, dict) and {"id", "name", "settings"} <= set(each)]


def check_settings(settings: Any, *, field: str = "settings") -> dict[str, Any]:
    """The settings, or `InvalidRequest` that names the first one which is unknown or of the wrong kind."""
    if not isinstance(settings, dict):
        raise InvalidRequest(field=field)
    for name, value in settings.items():
        if name not in SETTINGS or not SETTINGS[name](value):
            raise InvalidRequest(field=f"{field}.{name}")
    return settings


def _presets(user: Any, slugs: Any) -> list[Any]:
    if not isinstance(slugs, list) or len(slugs) > MAX_FAVOURITE_PRESETS or not all(map(_is_name, slugs)):
        raise InvalidRequest(field="favourite_presets")
    found = list(presets_for(user).filter(slug__in=slugs))
    if set(slugs) - {preset.slug for preset in found}:
        raise PresetNotAvailable(field="favourite_presets")
    return found


def _locked(user: Any) -> UserPreference:
    """The user's row, locked, so that two dialogs that remember at once lose nothing of each other's."""
    UserPreference.objects.get_or_create(user=user)
    return UserPreference.objects.select_for_update().get(user=user)
