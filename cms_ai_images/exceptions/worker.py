"""In the worker: what a task fails with, and what ends the work on it before it is done."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from .base import AIImagesError


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
