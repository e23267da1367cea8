"""Pictures: their bytes while they are drafts, and the way into the library."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from cms_ai_images import services
from cms_ai_images.api.base import AIImagesView
from cms_ai_images.api.documentation import documented
from cms_ai_images.api.serializers import PictureDetailsSerializer, image_json
from cms_ai_images.api.shapes import ImageSerializer
from cms_ai_images.exceptions import DraftGone, NotFound
from cms_ai_images.library import drafts, files, naming
from cms_ai_images.models import GeneratedImage
from cms_ai_images.models.tokens import Scope
from cms_ai_images.types import OutputFormat

PICTURE = {(200, output_format.mime_type): OpenApiTypes.BINARY for output_format in OutputFormat}
TO_LIBRARY = {302: OpenApiResponse(description="It is in the media library, under `Location`.")}


def own_image(request: Request, uuid: UUID) -> GeneratedImage:
    """The caller's picture, or `NotFound`."""
    image = (
        GeneratedImage.objects.select_related("task", "filer_image")
        .filter(uuid=uuid, task__user=request.user.pk)
        .first()
    )
    if image is None:
        raise NotFound
    return image


class ImageFileView(AIImagesView):
    @documented({**PICTURE, **TO_LIBRARY}, problems=[410, 503])
    def get(self, request: Request, uuid: UUID) -> HttpResponseBase:
        """The picture: a draft's own bytes, or the library file that it became."""
        image = own_image(request, uuid)
        if image.filer_image is not None:
            return HttpResponseRedirect(image.filer_image.url)
        return private_file(drafts.read(image), OutputFormat(image.output_format).mime_type)


class ImagePreviewView(AIImagesView):
    @documented({(200, "image/webp"): OpenApiTypes.BINARY, **TO_LIBRARY}, problems=[410, 503])
    def get(self, request: Request, uuid: UUID) -> HttpResponseBase:
        """A small WebP of a draft."""
        image = own_image(request, uuid)
        if image.filer_image is not None:
            return HttpResponseRedirect(image.filer_image.url)
        return private_file(drafts.read(image, preview=True), "image/webp")


class ImageDownloadView(AIImagesView):
    @documented(PICTURE, problems=[410, 503])
    def get(self, request: Request, uuid: UUID) -> HttpResponseBase:
        """The picture as a file to keep, under a name that says what it is."""
        image = own_image(request, uuid)
        response = private_file(picture_bytes(image), OutputFormat(image.output_format).mime_type)
        response["Content-Disposition"] = content_disposition_header(True, naming.download_name(image)) or ""
        return response


class ImageAcceptView(AIImagesView):
    write_scope = Scope.LIBRARY

    @documented({200: ImageSerializer}, request=PictureDetailsSerializer, problems=[410, 503])
    def post(self, request: Request, uuid: UUID) -> Response:
        """Put it into the media library. Repeating this changes what is said anew, and makes no second file."""
        serializer = PictureDetailsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        image = own_image(request, uuid)
        services.accept(request.user, image, serializer.to_details())
        image = own_image(request, uuid)
        return Response(image_json(image, image.task))


class ImageDiscardView(AIImagesView):
    write_scope = Scope.LIBRARY

    @documented({200: ImageSerializer}, problems=[409])
    def post(self, request: Request, uuid: UUID) -> Response:
        """Throw a draft away. What is in the media library already is deleted there."""
        image = services.discard(request.user, own_image(request, uuid))
        return Response(image_json(image, image.task))


def picture_bytes(image: GeneratedImage) -> bytes:
    """Those of the draft, or of the library file that it became."""
    if image.filer_image is None:
        return drafts.read(image)
    try:
        with files.failures_as_unavailable(), image.filer_image.file.open() as file:
            return bytes(file.read())
    except FileNotFoundError as error:
        raise DraftGone from error


def private_file(data: bytes, content_type: str) -> HttpResponse:
    """Bytes for one person: the browser may keep them, a shared cache may not, and nothing in them is run."""
    return HttpResponse(
        data,
        content_type=content_type,
        headers={
            "Cache-Control": "private, max-age=86400, immutable",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )
