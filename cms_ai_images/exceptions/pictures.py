"""Pictures that people bring: uploads, addresses and references."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from .base import AIImagesError
from .request import InvalidRequest


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
