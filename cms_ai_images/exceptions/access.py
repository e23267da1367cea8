"""Who may, and how much: logins, tokens, permissions, credits and limits."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from .base import AIImagesError


class NotLoggedIn(AIImagesError):
    code = "not_logged_in"
    status = 401
    message = _("Your session has ended. Log in again in another tab, then repeat this; your text is kept.")


class TokenMissing(NotLoggedIn):
    """The same for programs, which have no session that could end."""

    code = "token_missing"
    message = _("Nobody is logged in. Programs send a personal token: “Authorization: Bearer aii_…”.")


class TokenInvalid(NotLoggedIn):
    code = "token_invalid"
    message = _("This token is not valid: it is unknown, expired or revoked, or its user may not log in.")


class NotPermitted(AIImagesError):
    code = "not_permitted"
    status = 403
    message = _("You may not do this. Ask an administrator for the permission “%(permission)s”.")


class ScopeMissing(AIImagesError):
    code = "scope_missing"
    status = 403
    message = _("This token may not do this. Make one that has the scope “%(scope)s”.")


class NotFound(AIImagesError):
    code = "not_found"
    status = 404
    message = _("This is not there, or it is not yours.")


class InsufficientCredits(AIImagesError):
    code = "insufficient_credits"
    status = 402
    message = _(
        "This would cost %(cost)d points and %(balance)d are left. Ask for fewer pictures, or "
        "ask an administrator for points."
    )


class RateLimited(AIImagesError):
    code = "rate_limited"
    status = 429
    retryable = True
    message = _("At most %(limit)d requests a minute are possible. Your text is kept.")


class TooManyTasks(AIImagesError):
    code = "too_many_tasks"
    status = 429
    retryable = True
    message = _(
        "You have %(limit)d tasks that wait or are being drawn, which is the most. Wait for one, or cancel one."
    )


class StorageFull(AIImagesError):
    code = "storage_full"
    status = 409
    message = _(
        "Your drafts and the pictures that you brought take %(used)d of %(limit)d MiB, and what is asked for does not "
        "fit in as well. Discard what you do not need, or put it into the library."
    )
