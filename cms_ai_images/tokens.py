"""Personal tokens: made, found, revoked. The secret exists in the answer to whoever made it, and nowhere else."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from cms_ai_images import audit
from cms_ai_images.exceptions import TokenInvalid
from cms_ai_images.models import APIToken
from cms_ai_images.models.tokens import Scope

PREFIX = "aii_"
"""How every secret begins, so that people and scanners recognise one where it should not be."""
HINT_LENGTH = len(PREFIX) + 6
USED_SECONDS = 60
"""`last_used_at` is written at most this often."""


def issue(
    user: Any,
    name: str,
    *,
    scopes: Iterable[str] = tuple(Scope.values),
    expires_at: datetime | None = None,
    by: Any = None,
) -> tuple[APIToken, str]:
    """A new token of this user's, made by `by` (`None`: the system), and its secret, which cannot be had again."""
    secret = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = APIToken.objects.create(
            user=user,
            name=name,
            digest=_digest(secret),
            hint=secret[:HINT_LENGTH],
            scopes=sorted(Scope(scope) for scope in scopes),
            expires_at=expires_at,
        )
        audit.record(
            audit.Action.TOKEN_CREATED, token, by=by, user=user.get_username(), scopes=token.scopes, expires=expires_at
        )
    return token, secret


def find(secret: str) -> APIToken:
    """The token of this secret with its user, in one query. Raises `TokenInvalid`.

    What is looked for is a digest of 256 random bits, so how long the search takes tells nothing about a secret.
    """
    now = timezone.now()
    token = APIToken.objects.valid(now).select_related("user").filter(digest=_digest(secret)).first()
    if token is None:
        raise TokenInvalid
    before = now - timedelta(seconds=USED_SECONDS)
    if token.last_used_at is None or token.last_used_at < before:
        unused = APIToken.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=before), pk=token.pk)
        unused.update(last_used_at=now)
    return token


def revoke(token: APIToken, *, by: Any = None) -> bool:
    """Make it worthless at once; `False` when it was already."""
    with transaction.atomic():
        revoked = APIToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()) == 1
        if revoked:
            audit.record(audit.Action.TOKEN_REVOKED, token, by=by, user=token.user.get_username())
    return revoked


def revoke_all(user: Any, *, by: Any = None) -> int:
    """All of one person's, as after a password that somebody else knew. Returns how many were worth something."""
    return sum(revoke(token, by=by) for token in APIToken.objects.filter(user=user, revoked_at=None))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
