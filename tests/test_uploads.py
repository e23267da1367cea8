"""Files that people bring become pixels, or are refused with a code, and no process dies of them."""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO
from typing import Any

import pytest
from django.conf import settings as django_settings
from PIL import Image, ImageCms, ImageDraw

from cms_ai_images.exceptions import AIImagesError, UploadNotAPicture, UploadTooLarge, UploadTooManyPixels
from cms_ai_images.safety import upload

from .corpus import CLEANED, FILES

MEBIBYTES = 1000
"""Address space of the process that opens the corpus: Python, Pillow and one picture of 34 megapixels."""
SECONDS = 120
"""Processor time of all of it."""
SECONDS_EACH = 10


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, Any]]:
    """What became of each file of the corpus, in a process with a limit of memory and time."""
    command = [sys.executable, "-m", "tests.corpus", str(MEBIBYTES), str(SECONDS)]
    done = subprocess.run(command, cwd=django_settings.BASE_DIR, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"died after {lines[-1:]}: {done.stderr[-2000:]}"
    return {line["name"]: line for line in lines}


def test_the_corpus_is_large_enough():
    assert len(FILES) >= 40
    assert len({make() for make, _outcome in FILES.values()}) == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_hostile_file_is_cleaned_or_refused(outcomes, name):
    seen = outcomes[name]
    assert seen["outcome"] == FILES[name][1]
    assert seen["seconds"] < SECONDS_EACH
    if seen["outcome"] == CLEANED:
        assert (seen["format"], seen["mode"], seen["frames"]) == ("WEBP", "RGB", 1)
        assert (seen["metadata"], seen["carries"]) == ([], False)
        assert seen["largest"] <= upload.MAX_SIDE


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def cleaned(image: Image.Image, format: str = "PNG", **options: Any) -> Image.Image:
    """What remains of a picture."""
    return Image.open(BytesIO(upload.clean(saved(image, format, **options)).data))


@pytest.fixture
def arrow() -> Image.Image:
    """A picture that shows which way is up."""
    image = Image.new("RGB", (60, 40), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 29, 19), fill="red")
    return image


def test_pixels_stay_as_they_are(arrow):
    assert cleaned(arrow).tobytes() == arrow.tobytes()
    once = upload.clean(saved(arrow, "PNG"))
    assert upload.clean(once.data) == once
    assert (once.width, once.height, len(once.sha256)) == (60, 40, 64)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_picture_stands_upright(arrow, format, orientation, order):
    quarters = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}  # the others undo themselves
    turns = {**upload.TRANSPOSITIONS, **quarters}
    exif = Image.Exif()
    exif.endian = order
    exif[upload.ORIENTATION] = orientation
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(format, {})
    upright = cleaned(
        arrow.transpose(turns[orientation]) if orientation in turns else arrow, format, exif=exif, **lossless
    )
    assert upright.size == arrow.size
    assert upright.getpixel((5, 5)) == pytest.approx((255, 0, 0), abs=5)
    assert upright.getpixel((55, 35)) == pytest.approx((255, 255, 255), abs=5)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_was_transparent_is_white(mode):
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((0, 0, 15, 31), fill=(0, 0, 0, 255))
    flat = cleaned(image.convert(mode))
    assert (flat.getpixel((2, 2)), flat.getpixel((30, 2))) == ((0, 0, 0), (255, 255, 255))


def test_colours_are_those_of_the_profile():
    """Lab has a profile that makes numbers mean something else entirely; of a grey one nothing is taken for colours."""
    image = Image.new("RGB", (32, 32), (200, 100, 50))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert cleaned(image, icc_profile=srgb).getpixel((0, 0)) == pytest.approx((200, 100, 50), abs=1)
    # The same primaries at another gamma: its first 'para' or 'curv' decides how bright the middle is.
    linear = bytearray(srgb)
    start = linear.index(b"para")
    linear[start : start + 16] = b"para" + bytes(8) + (65536).to_bytes(4, "big")
    assert min(cleaned(image, icc_profile=bytes(linear)).getpixel((0, 0))) > 60


def test_sixteen_bits_of_grey_keep_their_middle():
    image = Image.new("I;16", (32, 32), 32768)
    assert cleaned(image).getpixel((0, 0)) == (128, 128, 128)


def test_large_picture_is_reduced_in_proportion():
    reduced = upload.clean(saved(Image.new("L", (8000, 2000), 90), "PNG"))
    assert (reduced.width, reduced.height) == (3072, 768)


def test_limits_come_from_the_settings(settings, arrow):
    settings.CMS_AI_IMAGES = {"UPLOAD_MAX_PIXELS": 60 * 40}
    assert upload.clean(saved(arrow, "PNG")).width == 60
    settings.CMS_AI_IMAGES = {"UPLOAD_MAX_PIXELS": 60 * 40 - 1}
    with pytest.raises(UploadTooManyPixels):
        upload.clean(saved(arrow, "PNG"))
    settings.CMS_AI_IMAGES = {"UPLOAD_MAX_MIB": 1}
    upload.check_size(2**20)
    with pytest.raises(UploadTooLarge, match="1 MiB"):
        upload.check_size(2**20 + 1)


def test_refusal_does_not_tell_how_the_decoder_stumbled():
    with pytest.raises(UploadNotAPicture) as refused:
        upload.clean(b"%PDF-1.7")
    assert str(refused.value) == "This file is no whole picture in one of these formats: JPEG, PNG, WebP. " + (
        "Save it as one of them."
    )
    assert isinstance(refused.value, AIImagesError) and (refused.value.status, refused.value.field) == (422, "file")
