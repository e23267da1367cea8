"""Everything that can go wrong, in one tree.

Each class carries a stable `code`, the HTTP `status` that an API answers with, a translatable `message` that says what
to do, and whether trying the same thing again can help (`retryable`). Messages use named placeholders, filled from the
keyword arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class AIImagesError(Exception):
    """The root. `field` names the input that is at fault, where there is one."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    message: ClassVar[str | Promise] = _("Something went wrong. Please try again.")
    author_message: ClassVar[str | Promise | None] = None
    """What an author is told instead, where `message` holds something that is the administrators' business."""
    retryable: ClassVar[bool] = False
    retry_after: int = 10
    """Seconds until it is worth trying again, where that can help at all; an instance may know better."""
    field: str | None = None

    def __init__(self, *, field: str | None = None, retry_after: int | None = None, **params: Any) -> None:
        self.field = field or type(self).field
        self.retry_after = retry_after or type(self).retry_after
        self.params = params
        super().__init__(self.code)

    def __str__(self) -> str:
        return str(self.message) % self.params if self.params else str(self.message)

    @property
    def plain_params(self) -> dict[str, Any]:
        """What the message is filled with, as JSON can hold it."""
        return {name: value if isinstance(value, int | float) else str(value) for name, value in self.params.items()}


def by_code(code: str) -> type[AIImagesError] | None:
    """The class that has this code."""
    return next((error for error in _subclasses(AIImagesError) if error.code == code), None)


def known() -> list[type[AIImagesError]]:
    """Every class that the app itself defines."""
    return [error for error in _subclasses(AIImagesError) if error.__module__ == __name__]


def describe(code: str, params: dict[str, Any]) -> str | None:
    """What an author is told of a code, in the reader's language; `None` for what no class knows."""
    error = by_code(code)
    if error is None:
        return None
    try:
        message = str(error.author_message or error.message)
        return message % params if params else message
    except (KeyError, TypeError, ValueError):
        return None


def _subclasses(parent: type[AIImagesError]) -> Iterator[type[AIImagesError]]:
    yield parent
    for child in parent.__subclasses__():
        yield from _subclasses(child)


# -- The request -------------------------------------------------------------------------------------------------------


class InvalidRequest(AIImagesError):
    """The author can mend it by changing an input."""

    code = "invalid"
    status = 400
    message = _("This value cannot be used.")


class PromptEmpty(InvalidRequest):
    code = "prompt_empty"
    field = "prompt"
    message = _("Describe the picture first.")


class PromptTooLong(InvalidRequest):
    code = "prompt_too_long"
    field = "prompt"
    message = _("The text has %(length)d characters; at most %(limit)d are possible. Please shorten it.")


class SizeNotSupported(InvalidRequest):
    code = "size_not_supported"
    field = "size"
    message = _("%(model)s cannot draw %(width)d × %(height)d pixels. Choose one of: %(sizes)s.")


class ParameterOutOfRange(InvalidRequest):
    code = "parameter_out_of_range"
    message = _("%(parameter)s must be between %(low)s and %(high)s.")


class ModelBeyondLimits(InvalidRequest):
    """The smallest thing that the model does is more than this person may ask for."""

    code = "model_beyond_limits"
    field = "model"
    message = _("%(model)s needs more than your limits allow. Choose another model, or ask an administrator.")


class QualityNotOffered(InvalidRequest):
    code = "quality_not_offered"
    field = "quality"
    message = _("%(model)s does not offer this quality. Choose one of: %(qualities)s.")


class ParameterLocked(InvalidRequest):
    code = "parameter_locked"
    message = _("%(parameter)s is set by the style “%(preset)s”. Leave it out or choose another style.")


class OperationNotSupported(InvalidRequest):
    code = "operation_not_supported"
    field = "operation"
    message = _("%(model)s does not offer this operation. Choose another model.")


class PresetNotAvailable(InvalidRequest):
    code = "preset_not_available"
    field = "preset"
    message = _("This style is no longer available. Please choose another one.")


class PresetDoesNotFit(InvalidRequest):
    code = "preset_does_not_fit"
    field = "preset"
    message = _("The style “%(preset)s” cannot be used with %(model)s: %(reason)s Choose another style.")


class ModelNotAvailable(InvalidRequest):
    code = "model_not_available"
    field = "model"
    message = _("This model is not available. Please choose another one.")


class NoModelConfigured(AIImagesError):
    code = "no_model_configured"
    status = 503
    message = _("No model is set up yet. Ask an administrator to add a generation model and to enable it.")


class OriginNotFound(InvalidRequest):
    code = "origin_not_found"
    status = 404
    field = "origin"
    message = _(
        "The page that this picture was meant for no longer exists. Your text is kept; copy it before you leave."
    )


class RequestTooLarge(AIImagesError):
    code = "request_too_large"
    status = 413
    message = _("This request is longer than %(limit)d bytes.")


class LengthRequired(AIImagesError):
    """A body in pieces, without a length, which a WSGI server cannot be asked for safely."""

    code = "length_required"
    status = 411
    message = _("Say how long the body is (Content-Length). This server does not take it in pieces.")


class UnknownParameter(InvalidRequest):
    """Passed over, a slip of the pen would find or draw something else than what was meant."""

    code = "unknown_parameter"
    message = _("There is no such parameter here. Possible are: %(known)s.")


class IdempotencyKeyReused(AIImagesError):
    code = "idempotency_key_reused"
    status = 422
    field = "Idempotency-Key"
    message = _("This key was used for another request. Use a new key for each request, and the same one to repeat it.")


class FolderNotFound(InvalidRequest):
    code = "folder_not_found"
    field = "folder_id"
    message = _("This folder no longer exists. Choose another one.")


class AddressRefused(InvalidRequest):
    """Said alike for a host that is not listed and for one inside the network: what is there is not told."""

    code = "address_refused"
    field = "url"
    message = _("The server “%(host)s” may not be called from here. Ask an administrator to allow it.")


class TooManyFavourites(InvalidRequest):
    code = "too_many_favourites"
    message = _("You have %(limit)d favourites, which is the most. Remove one first.")


# -- Pictures that people bring ----------------------------------------------------------------------------------------


class UploadTooLarge(InvalidRequest):
    code = "upload_too_large"
    status = 413
    field = "file"
    message = _("The file is larger than %(limit)d MiB. Save the picture smaller, or as a JPEG.")


class UploadNotAPicture(InvalidRequest):
    """Whatever is wrong with it: to whoever tries, how the decoder stumbled is nobody's business."""

    code = "upload_not_a_picture"
    status = 422
    field = "file"
    message = _("This file is no whole picture in one of these formats: %(formats)s. Save it as one of them.")


class UploadTooManyPixels(InvalidRequest):
    code = "upload_too_many_pixels"
    status = 422
    field = "file"
    message = _("The picture has more than %(limit)d megapixels. Make it smaller first.")


class UploadTooSmall(InvalidRequest):
    code = "upload_too_small"
    status = 422
    field = "file"
    message = _("The picture has %(width)d × %(height)d pixels; each side needs at least %(least)d.")


class RemotePictureUnavailable(InvalidRequest):
    code = "remote_picture_unavailable"
    status = 422
    field = "references"
    message = _("No picture could be fetched from %(host)s. Open the address in a browser, or upload the picture.")


class ReferenceNotFound(InvalidRequest):
    code = "reference_not_found"
    field = "references"
    message = _("A reference picture is no longer there, or it is not yours. Choose another one.")


class WrongNumberOfReferences(InvalidRequest):
    code = "wrong_number_of_references"
    field = "references"
    message = _("This operation takes %(wanted)d reference pictures and was given %(given)d.")


class ReferenceInUse(AIImagesError):
    code = "reference_in_use"
    status = 409
    message = _("Pictures are being made from this one. Wait for them, or cancel them first.")


# -- Who may -----------------------------------------------------------------------------------------------------------


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


# -- The state of things -----------------------------------------------------------------------------------------------


class StateConflict(AIImagesError):
    code = "state_conflict"
    status = 409
    message = _("This is no longer possible: the task is %(status)s.")


class DraftGone(AIImagesError):
    code = "draft_gone"
    status = 410
    message = _("This picture was discarded or has expired. Generate it again.")


class AlreadyAccepted(AIImagesError):
    code = "already_accepted"
    status = 409
    message = _("This picture is in the media library already. Delete it there if nobody needs it.")


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


# -- In the worker -----------------------------------------------------------------------------------------------------


class GenerationError(AIImagesError):
    """A task could not be carried out. The message is kept on the task and shown to its owner."""

    code = "generation_failed"
    retryable = True
    message = _("The picture could not be drawn. Please try again.")


class ModelFilesMissing(GenerationError):
    code = "model_files_missing"
    retryable = False
    message = _(
        "The files of the model “%(model)s” are missing or incomplete (%(detail)s). An administrator must mend it."
    )
    author_message = _("The files of the model “%(model)s” are missing or incomplete. An administrator must mend it.")


class ModelFilesDamaged(GenerationError):
    code = "model_files_damaged"
    retryable = False
    message = _("The file %(file)s of the model “%(model)s” is missing or damaged. Restore it with “%(restore)s”.")
    author_message = _("A file of the model “%(model)s” is missing or damaged. An administrator must mend it.")


class UnsafeWeights(GenerationError):
    code = "unsafe_weights"
    retryable = False
    message = _("The model “%(model)s” holds %(file)s, a format that can run code. Only safetensors files are loaded.")


class WeightsDoNotFit(GenerationError):
    code = "weights_do_not_fit"
    retryable = False
    message = _(
        "%(file)s was made for another model than “%(model)s”: %(matched)d of its %(total)d weights fit. "
        "An administrator must mend it."
    )


class ModelOptionInvalid(GenerationError):
    code = "model_option_invalid"
    retryable = False
    message = _(
        "The option “%(option)s” of the model “%(model)s” cannot be used: %(detail)s. An administrator must mend it."
    )


class BackendNotInstalled(GenerationError):
    code = "backend_not_installed"
    retryable = False
    message = _("The worker lacks a library (%(library)s). Install cms-ai-images[%(extra)s] there.")


class UnknownBackend(GenerationError):
    code = "unknown_backend"
    retryable = False
    message = _("No backend is called “%(backend)s”. Known ones: %(known)s.")


class OutOfMemory(GenerationError):
    code = "out_of_memory"
    message = _("The picture did not fit into the worker's memory. Choose a smaller size or fewer pictures.")


class PictureBroken(GenerationError):
    """The numbers overflowed, as half precision does with some models: a black picture. Trying again gives the same."""

    code = "picture_broken"
    retryable = False
    message = _(
        "The model “%(model)s” computed no picture with the number format %(dtype)s. An administrator must mend it."
    )


class PictureWithheld(GenerationError):
    code = "picture_withheld"
    retryable = False
    message = _("The model's own safety check withheld the picture. Please describe it differently.")


class ReferenceGone(GenerationError):
    code = "reference_gone"
    status = 410
    retryable = False
    message = _("The reference picture is no longer there. Ask for the picture again with another one.")


class PictureNotStored(GenerationError):
    """Not the storage's fault, which has an error of its own: encoding it, or its rows, failed unexpectedly."""

    code = "picture_not_stored"
    message = _("The picture was drawn, but it could not be stored. Please try again.")


class DeviceLost(GenerationError):
    code = "device_lost"
    message = _("The graphics processor stopped answering. The worker is restarted and the task is drawn again.")


class DeviceMissing(DeviceLost):
    """Drawing on the CPU instead would take an hour for a picture, and nobody would know why."""

    code = "device_missing"
    message = _(
        "The worker is told to use the GPU “%(device)s”, and sees none. Look at nvidia-smi and the driver, or start it "
        "without --device and CUDA_VISIBLE_DEVICES."
    )
    author_message = _("The worker has lost its graphics processor. An administrator must mend it.")


class DeadlineExceeded(GenerationError):
    code = "deadline_exceeded"
    message = _("This took longer than %(seconds)d seconds and was stopped. Try fewer steps or a smaller size.")


class WorkerLost(GenerationError):
    code = "worker_lost"
    message = _("The worker stopped in the middle of the work, again and again. Please try later.")


class TaskCancelled(AIImagesError):
    """Raised in the step callback to end the work on a task that its owner no longer wants."""

    code = "cancelled"
    status = 409
    message = _("The task was cancelled.")


class WorkerStopping(AIImagesError):
    """Raised in the step callback when the worker must go before the work is done: the task goes back to the queue."""

    code = "worker_stopping"
    status = 503
    retryable = True
    message = _("The worker is being restarted. The task goes on in a moment.")


class LeaseLost(AIImagesError):
    """Raised in the step callback when another worker may own the task: whatever comes next must not be written."""

    code = "lease_lost"
    status = 409
    message = _("Another worker has taken the task over.")
