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
    field: str | None = None

    def __init__(self, *, field: str | None = None, **params: Any) -> None:
        self.field = field or type(self).field
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


class FolderNotFound(InvalidRequest):
    code = "folder_not_found"
    field = "folder_id"
    message = _("This folder no longer exists. Choose another one.")


class TooManyFavourites(InvalidRequest):
    code = "too_many_favourites"
    message = _("You have %(limit)d favourites, which is the most. Remove one first.")


# -- Who may -----------------------------------------------------------------------------------------------------------


class NotLoggedIn(AIImagesError):
    code = "not_logged_in"
    status = 401
    message = _("Your session has ended. Log in again in another tab, then repeat this; your text is kept.")


class NotPermitted(AIImagesError):
    code = "not_permitted"
    status = 403
    message = _("You may not do this. Ask an administrator for the permission “%(permission)s”.")


class NotFound(AIImagesError):
    code = "not_found"
    status = 404
    message = _("This is not there, or it is not yours.")


class InsufficientCredits(AIImagesError):
    code = "insufficient_credits"
    status = 402
    message = _("This would cost %(cost)d points and %(balance)d are left. Ask for fewer pictures.")


# -- The state of things -----------------------------------------------------------------------------------------------


class StateConflict(AIImagesError):
    code = "state_conflict"
    status = 409
    message = _("This is no longer possible: the task is %(status)s.")


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
