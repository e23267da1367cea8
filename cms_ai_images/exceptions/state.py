"""The state of things: the request is fine, but it comes too early or too late."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from .base import AIImagesError


class StateConflict(AIImagesError):
    code = "state_conflict"
    status = 409
    message = _("This is no longer possible: the task is %(status)s.")


class AlreadyAccepted(AIImagesError):
    code = "already_accepted"
    status = 409
    message = _("This picture is in the media library already. Delete it there if nobody needs it.")


class DraftGone(AIImagesError):
    code = "draft_gone"
    status = 410
    message = _("This picture was discarded or has expired. Generate it again.")


class NoWorker(AIImagesError):
    code = "no_worker"
    status = 503
    retryable = True
    message = _(
        "No worker is running, so nothing would be drawn. Your text is kept; tell an administrator or try later."
    )


class QueueFull(AIImagesError):
    code = "queue_full"
    status = 503
    retryable = True
    retry_after = 30
    message = _("%(limit)d tasks are waiting already. Your text is kept; try again when fewer people are at work.")


class StillDrawing(AIImagesError):
    """Somebody has waited for pictures as long as anybody may. Asking again would have them drawn again."""

    code = "still_drawing"
    status = 504
    message = _(
        "The pictures are not ready after %(seconds)d seconds. Task %(task)s goes on; look for them in your history."
    )


class StorageUnavailable(AIImagesError):
    code = "storage_unavailable"
    status = 503
    retryable = True
    message = _("The picture store does not answer. Nothing is lost; please try again in a moment.")
