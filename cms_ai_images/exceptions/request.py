"""The request: something that it asks for cannot be."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from .base import AIImagesError


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


class SizeIncomplete(SizeNotSupported):
    """One side alone; `field` is the other one."""

    code = "size_incomplete"
    message = _("%(parameter)s is missing. Say both, the width and the height, or neither.")


class ParameterOutOfRange(InvalidRequest):
    code = "parameter_out_of_range"
    message = _("%(parameter)s must be between %(low)s and %(high)s.")


class ParameterNotUsed(InvalidRequest):
    """Passed over, it would leave somebody waiting for what it cannot change."""

    code = "parameter_not_used"
    message = _("%(parameter)s changes nothing in this operation (%(operation)s). Leave it out.")


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


class ModelBeyondLimits(InvalidRequest):
    """The smallest thing that the model does is more than this person may ask for."""

    code = "model_beyond_limits"
    field = "model"
    message = _("%(model)s needs more than your limits allow. Choose another model, or ask an administrator.")


class QualityNotOffered(InvalidRequest):
    code = "quality_not_offered"
    field = "quality"
    message = _("%(model)s does not offer this quality. Choose one of: %(qualities)s.")


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


class AddressRefused(InvalidRequest):
    """Said alike for a host that is not listed and for one inside the network: what is there is not told."""

    code = "address_refused"
    field = "url"
    message = _("The server “%(host)s” may not be called from here. Ask an administrator to allow it.")


class FolderNotFound(InvalidRequest):
    code = "folder_not_found"
    field = "folder_id"
    message = _("This folder no longer exists. Choose another one.")


class TooManyFavourites(InvalidRequest):
    code = "too_many_favourites"
    message = _("You have %(limit)d favourites, which is the most. Remove one first.")
