"""What an author says about a picture, as django-filer's columns hold it: for a new file, or for one that is there."""

from __future__ import annotations

from typing import Any

from cms_ai_images.library import folders, naming
from cms_ai_images.models import GeneratedImage
from cms_ai_images.types import PictureDetails


def revise(image: GeneratedImage, details: PictureDetails) -> Any:
    """The library file of an accepted picture, with what `details` says anew written into it.

    Only while the file still belongs to the picture's author: once the library gives it to somebody else, what that
    person wrote stays. Raises `FolderNotFound`.
    """
    filer_image = image.filer_image
    if filer_image is None or filer_image.owner_id != image.task.user_id:
        return filer_image
    fresh = values(type(filer_image), image, details)
    if details.folder_id is not None:
        fresh["folder"] = folders.folder_for(details.folder_id, image.task.user)
    changed = {name: value for name, value in fresh.items() if getattr(filer_image, name) != value}
    if changed:
        for name, value in changed.items():
            setattr(filer_image, name, value)
        filer_image.save()
    return filer_image


def values(model: type[Any], image: GeneratedImage, details: PictureDetails) -> dict[str, Any]:
    """The columns that `details` says something about, without the folder. A site's own image model may lack some."""
    said: dict[str, Any] = {}
    if details.name and details.name.strip():
        said["name"] = naming.shorten(details.name)
    if details.decorative:
        said["default_alt_text"] = ""
    elif details.alt_text and details.alt_text.strip():
        said["default_alt_text"] = naming.shorten(details.alt_text)
    if details.caption is not None:
        said["default_caption"] = naming.shorten(details.caption)
    if details.credit is not None:
        said["author"] = naming.shorten(details.credit)
    if details.focal_point is not None:
        said["subject_location"] = subject_location(image, details.focal_point)
    return {name: value for name, value in said.items() if has_field(model, name)}


def subject_location(image: GeneratedImage, focal_point: tuple[float, float]) -> str:
    """Fractions from the top left as django-filer writes the place that a crop must keep: `x,y` in pixels."""
    x, y = focal_point
    return f"{round(x * (image.width - 1))},{round(y * (image.height - 1))}"


def focal_point(filer_image: Any) -> list[float] | None:
    """The way back: fractions from the top left, or None where nobody has set such a place."""
    x, comma, y = (getattr(filer_image, "subject_location", None) or "").partition(",")
    if not (comma and x.isdecimal() and y.isdecimal()):  # django-filer lets people write into the column
        return None
    return [min(int(at) / max(size - 1, 1), 1) for at, size in ((x, filer_image.width), (y, filer_image.height))]


def has_field(model: type[Any], name: str) -> bool:
    """Whether the site's image model has this column."""
    return any(field.name == name for field in model._meta.get_fields())
