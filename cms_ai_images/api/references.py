"""Pictures that callers bring, for requests to start from."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpResponseBase
from django.http.multipartparser import MultiPartParserError
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from cms_ai_images import services
from cms_ai_images.api.base import AIImagesView
from cms_ai_images.api.bodies import measure
from cms_ai_images.api.documentation import answer_header, documented
from cms_ai_images.api.images import private_file
from cms_ai_images.api.shapes import ReferencePictureSerializer
from cms_ai_images.exceptions import InvalidRequest, NotFound
from cms_ai_images.library import references
from cms_ai_images.models import ReferencePicture
from cms_ai_images.safety import upload

ENVELOPE = 2**16
"""Bytes that a form may have beside its file."""


class UploadSerializer(serializers.Serializer):
    """A form with a file. What that is called does not matter."""

    file = serializers.FileField(allow_empty_file=True, help_text="A JPEG, PNG or WebP.")


def reference_json(reference: ReferencePicture) -> dict[str, Any]:
    """A picture as its owner sees it."""
    return {
        "id": str(reference.uuid),
        "width": reference.width,
        "height": reference.height,
        "byte_size": reference.byte_size,
        "sha256": reference.sha256,
        "created_at": reference.created_at.isoformat(),
        "url": reverse("cms_ai_images:reference-detail", args=[reference.uuid]),
        "file_url": reverse("cms_ai_images:reference-file", args=[reference.uuid]),
    }


def own_reference(request: Request, uuid: UUID) -> ReferencePicture:
    """The caller's picture, or `NotFound`."""
    reference = ReferencePicture.objects.filter(uuid=uuid, user=request.user.pk).first()
    if reference is None:
        raise NotFound
    return reference


class ReferenceListView(AIImagesView):
    parser_classes = (MultiPartParser,)  # type: ignore[assignment]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Look at the length before anything, such as the check of the CSRF token, reads the form."""
        measure(request._request)
        length = request.META.get("CONTENT_LENGTH") or "0"
        upload.check_size((int(length) if length.isdigit() else 0) - ENVELOPE)
        super().initial(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        """Forms that Django itself does not read. One that is too long has an error of its own."""
        is_bad_form = isinstance(exc, MultiPartParserError | SuspiciousOperation) and not isinstance(
            exc, RequestDataTooBig
        )
        return super().handle_exception(InvalidRequest(field="file") if is_bad_form else exc)

    @documented(
        {201: ReferencePictureSerializer},
        request={"multipart/form-data": UploadSerializer},
        problems=[409, 422, 429, 503],
        parameters=[
            answer_header("Location", "The picture's own address.", 201),
        ],
    )
    def post(self, request: Request) -> Response:
        """Bring a picture: it is cleaned, and kept for the caller alone until it was not used for a while.

        The same picture again gets the same id.
        """
        serializer = UploadSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        file = serializer.validated_data["file"]
        upload.check_size(file.size)
        data = reference_json(services.keep_reference(request.user, file.read()))
        return Response(data, status=status.HTTP_201_CREATED, headers={"Location": data["url"]})


class ReferenceDetailView(AIImagesView):
    @documented({200: ReferencePictureSerializer})
    def get(self, request: Request, uuid: UUID) -> Response:
        """A picture that the caller has brought, or that a request has taken from somewhere."""
        return Response(reference_json(own_reference(request, uuid)))

    @documented({204: None}, problems=[409])
    def delete(self, request: Request, uuid: UUID) -> Response:
        """Delete it. What was made of it stays, but cannot be repeated."""
        services.forget_reference(request.user, own_reference(request, uuid))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ReferenceFileView(AIImagesView):
    @documented({(200, "image/webp"): OpenApiTypes.BINARY}, problems=[410, 503])
    def get(self, request: Request, uuid: UUID) -> HttpResponseBase:
        """What remains of the picture after cleaning: a lossless WebP."""
        return private_file(references.read(own_reference(request, uuid)), "image/webp")
