"""What a link may be."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email
from django.utils.translation import gettext_lazy as _

PATH = re.compile(r"[/#](?![/\\])\S*\Z")
"""A path of this site. `//host` and `/\\host` would lead elsewhere while looking as if they did not."""


def validate_link(value: str) -> None:
    """Raise `ValidationError` for anything that is not http, https, mailto or a path: a script must not hide in it."""
    if PATH.match(value):
        return
    try:
        if value.startswith("mailto:"):
            validate_email(value.removeprefix("mailto:"))
        else:
            URLValidator(schemes=["http", "https"])(value)
    except ValidationError as error:
        message = _("Enter a web address, an address after “mailto:”, or a path that begins with a slash.")
        raise ValidationError(message, code="link") from error
