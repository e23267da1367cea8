"""The corpus itself."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms

from .chunks import (
    PNG_SIGNATURE,
    jpeg_scans,
    jpeg_segment,
    png,
    png_chunk,
    png_header,
    riff,
    webp_canvas,
    with_jpeg_segments,
    with_png_chunk,
    zeros,
)

CLEANED = "cleaned"
NOT_A_PICTURE = "upload_not_a_picture"
TOO_LARGE = "upload_too_large"
TOO_MANY_PIXELS = "upload_too_many_pixels"
TOO_SMALL = "upload_too_small"

SCRIPT = b"<script>alert(document.domain)</script>"
"""What must not come through."""

FILES: dict[str, tuple[Callable[[], bytes], str]] = {}


def becomes(outcome: str) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    """Put a file into the corpus, under its function's name."""

    def put(make: Callable[[], bytes]) -> Callable[[], bytes]:
        FILES[make.__name__] = (make, outcome)
        return make

    return put


def saved(mode: str = "RGB", format: str = "JPEG", size: tuple[int, int] = (48, 32), **options: Any) -> bytes:
    """A gradient as a sound file."""
    buffer = BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def archive() -> bytes:
    """A zip, which readers find from its end, whatever stands before."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("Evil.class", SCRIPT)
    return buffer.getvalue()


def frames() -> list[Image.Image]:
    """An animation."""
    return [Image.new("RGB", (32, 32), color) for color in ("red", "lime", "blue")]


def patched(data: bytes, marker: bytes, offset: int, replacement: bytes) -> bytes:
    """`replacement` in place of what stands `offset` bytes after a marker."""
    start = data.index(marker) + offset
    return data[:start] + replacement + data[start + len(replacement) :]


# -- JPEG: sound but unusual


@becomes(CLEANED)
def jpeg_cmyk() -> bytes:
    return saved("CMYK")


@becomes(CLEANED)
def jpeg_cmyk_with_a_garbage_profile() -> bytes:
    return saved("CMYK", icc_profile=b"\xff" * 5000)


@becomes(CLEANED)
def jpeg_grey_with_a_colour_profile() -> bytes:
    return saved("L", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


@becomes(CLEANED)
def jpeg_progressive() -> bytes:
    return saved(progressive=True)


@becomes(CLEANED)
def jpeg_of_several_pictures() -> bytes:
    buffer = BytesIO()
    first, *others = frames()
    first.save(buffer, "MPO", save_all=True, append_images=others)
    return buffer.getvalue()


@becomes(CLEANED)
def jpeg_on_its_side_with_a_thumbnail_of_an_archive() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return with_jpeg_segments(saved(exif=exif), jpeg_segment(0xE0, b"JFXX\0\x10" + archive()))


@becomes(CLEANED)
def jpeg_with_megabytes_of_exif() -> bytes:
    return with_jpeg_segments(saved(), *[jpeg_segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08" + bytes(65000))] * 150)


@becomes(CLEANED)
def jpeg_whose_exif_leads_nowhere() -> bytes:
    entries = b"".join(struct.pack(">HHII", tag, 12, 0x7FFFFFFF, 0xFFFFFFF0) for tag in range(0x0100, 0x0140))
    body = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 64) + entries + b"\0\0\0\x08"  # and it follows itself
    return with_jpeg_segments(saved(), jpeg_segment(0xE1, body))


@becomes(CLEANED)
def jpeg_with_html_in_a_comment() -> bytes:
    return with_jpeg_segments(saved(), jpeg_segment(0xFE, b"--><html>" + SCRIPT))


@becomes(CLEANED)
def jpeg_and_archive_in_one() -> bytes:
    return saved() + archive()


@becomes(CLEANED)
def jpeg_with_noise_in_its_middle() -> bytes:
    data = saved(size=(256, 256))
    middle = data.index(b"\xff\xda") + 100
    return data[:middle] + bytes(range(1, 200)) + data[middle + 199 :]


# -- JPEG: broken


@becomes(NOT_A_PICTURE)
def jpeg_cut_off() -> bytes:
    return saved(size=(512, 512))[:-700]


@becomes(NOT_A_PICTURE)
def jpeg_progressive_cut_off() -> bytes:
    data = saved(size=(256, 256), progressive=True)
    return data[: data.rindex(b"\xff\xda") + 4]


@becomes(NOT_A_PICTURE)
def jpeg_that_only_begins() -> bytes:
    return b"\xff\xd8\xff\xe0"


@becomes(NOT_A_PICTURE)
def jpeg_without_a_height() -> bytes:
    return patched(saved(), b"\xff\xc0", 5, b"\0\0")


@becomes(TOO_MANY_PIXELS)
def jpeg_that_claims_65500_pixels_a_side() -> bytes:
    return patched(saved(), b"\xff\xc0", 5, struct.pack(">HH", 65500, 65500))


@becomes(NOT_A_PICTURE)
def jpeg_of_ten_thousand_scans() -> bytes:
    data = saved(size=(512, 512), progressive=True)
    *_, last = jpeg_scans(data)
    return data.removesuffix(b"\xff\xd9") + last * 10_000 + b"\xff\xd9"


@becomes(NOT_A_PICTURE)
def jpeg_with_a_segment_longer_than_the_file() -> bytes:
    return b"\xff\xd8\xff\xe1\xff\xff" + b"Exif\0\0"


@becomes(NOT_A_PICTURE)
def jpeg_without_its_tables() -> bytes:
    return saved().replace(b"\xff\xdb", b"\xff\xec").replace(b"\xff\xc4", b"\xff\xec")


# -- PNG: sound but unusual


@becomes(CLEANED)
def png_of_16_bits() -> bytes:
    buffer = BytesIO()
    Image.linear_gradient("L").resize((32, 32)).convert("I").point(lambda value: value * 257).convert("I;16").save(
        buffer, "PNG"
    )
    return buffer.getvalue()


@becomes(CLEANED)
def png_of_16_bits_and_colours() -> bytes:
    rows = b"".join(b"\0" + bytes(range(6)) * 32 for _ in range(32))
    return png(32, 32, data=zlib.compress(rows), depth=16)


@becomes(CLEANED)
def png_with_a_transparent_palette() -> bytes:
    return saved("P", "PNG", transparency=0)


@becomes(CLEANED)
def png_with_alpha() -> bytes:
    return saved("LA", "PNG")


@becomes(CLEANED)
def png_of_one_bit() -> bytes:
    return saved("1", "PNG")


@becomes(CLEANED)
def png_animated() -> bytes:
    buffer = BytesIO()
    first, *others = frames()
    first.save(buffer, "PNG", save_all=True, append_images=others)
    return buffer.getvalue()


@becomes(CLEANED)
def png_with_html_in_its_text() -> bytes:
    return with_png_chunk(saved(format="PNG"), png_chunk(b"tEXt", b"Comment\0" + SCRIPT))


@becomes(CLEANED)
def png_and_archive_in_one() -> bytes:
    return png(after=archive())


@becomes(CLEANED)
def png_with_a_garbage_profile() -> bytes:
    return with_png_chunk(saved(format="PNG"), png_chunk(b"iCCP", b"x\0\0" + zlib.compress(b"\xff" * 1000)))


@becomes(CLEANED)
def png_with_more_data_than_pixels() -> bytes:
    return png(data=zeros(300))


@becomes(CLEANED)
def png_of_34_megapixels_in_5_kilobytes() -> bytes:
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(739)) for _ in range(5900)) + packer.flush()
    return png(5900, 5900, data=rows, depth=1, color=0)


# -- PNG: broken


@becomes(TOO_MANY_PIXELS)
def png_that_claims_60000_pixels_a_side() -> bytes:
    return png(60000, 60000, data=zeros(10))


@becomes(TOO_MANY_PIXELS)
def png_of_negative_sides() -> bytes:
    return png(-32, -32, data=zeros(1))


@becomes(TOO_SMALL)
def png_of_1_by_100000() -> bytes:
    return png(1, 100_000)


@becomes(NOT_A_PICTURE)
def png_with_a_text_bomb() -> bytes:
    return with_png_chunk(saved(format="PNG"), png_chunk(b"zTXt", b"Comment\0\0" + zeros(300)))


@becomes(NOT_A_PICTURE)
def png_with_an_international_text_bomb() -> bytes:
    return with_png_chunk(saved(format="PNG"), png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros(300)))


@becomes(NOT_A_PICTURE)
def png_with_a_profile_bomb() -> bytes:
    return with_png_chunk(saved(format="PNG"), png_chunk(b"iCCP", b"x\0\0" + zeros(300)))


@becomes(NOT_A_PICTURE)
def png_with_a_wrong_checksum() -> bytes:
    return patched(saved(format="PNG"), b"IHDR", 17, b"\0\0\0\0")


@becomes(NOT_A_PICTURE)
def png_cut_off() -> bytes:
    return saved(format="PNG", size=(256, 256), compress_level=0)[:20_000]


@becomes(NOT_A_PICTURE)
def png_without_data() -> bytes:
    return PNG_SIGNATURE + png_header(32, 32) + png_chunk(b"IEND", b"")


@becomes(NOT_A_PICTURE)
def png_with_a_chunk_longer_than_the_file() -> bytes:
    return PNG_SIGNATURE + png_header(32, 32) + png_chunk(b"IDAT", b"x", length=2**31 - 1)


@becomes(NOT_A_PICTURE)
def png_with_broken_data() -> bytes:
    return png(data=b"\x78\x9c" + b"\xaa" * 500)


# -- WebP


@becomes(CLEANED)
def webp_animated() -> bytes:
    buffer = BytesIO()
    first, *others = frames()
    first.save(buffer, "WEBP", save_all=True, append_images=others)
    return buffer.getvalue()


@becomes(CLEANED)
def webp_with_html_in_its_metadata() -> bytes:
    return saved(format="WEBP", xmp=SCRIPT, exif=b"Exif\0\0" + SCRIPT)


@becomes(NOT_A_PICTURE)
def webp_cut_off() -> bytes:
    return saved(format="WEBP", size=(256, 256), lossless=True)[:-50]


@becomes(TOO_MANY_PIXELS)
def webp_of_16383_pixels_a_side_and_nothing_in_it() -> bytes:
    return riff(b"WEBP", webp_canvas(16383, 16383, flags=2), (b"ANIM", bytes(6)))


@becomes(NOT_A_PICTURE)
def webp_with_broken_data() -> bytes:
    return riff(b"WEBP", (b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a\x20\x00\x20\x00" + b"\xaa" * 300))


@becomes(NOT_A_PICTURE)
def webp_that_is_a_sound() -> bytes:
    return riff(b"WAVE", (b"fmt ", bytes(16)), (b"data", bytes(1000)))


# -- Other formats, whatever they are called


@becomes(NOT_A_PICTURE)
def svg_with_a_script() -> bytes:
    return b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">' + SCRIPT + b"</svg>"


@becomes(NOT_A_PICTURE)
def gif_animated() -> bytes:
    buffer = BytesIO()
    first, *others = frames()
    first.save(buffer, "GIF", save_all=True, append_images=others)
    return buffer.getvalue()


@becomes(NOT_A_PICTURE)
def gif_and_archive_in_one() -> bytes:
    return saved("P", "GIF") + archive()


@becomes(NOT_A_PICTURE)
def bitmap() -> bytes:
    return saved(format="BMP")


@becomes(NOT_A_PICTURE)
def tiff_with_odd_tags() -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", 0x0111, 4, 2**30, 2**31) + bytes(4)


@becomes(NOT_A_PICTURE)
def jpeg_2000() -> bytes:
    return b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x14ftypjp2 \0\0\0\0jp2 " + bytes(200)


@becomes(NOT_A_PICTURE)
def icon() -> bytes:
    return saved("RGBA", "ICO", size=(32, 32))


@becomes(NOT_A_PICTURE)
def postscript() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(/etc/passwd) (r) file\nshowpage\n"


@becomes(NOT_A_PICTURE)
def pdf() -> bytes:
    return saved(format="PDF")


@becomes(NOT_A_PICTURE)
def photoshop() -> bytes:
    return b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30000, 30000, 8, 3) + bytes(1000)


@becomes(NOT_A_PICTURE)
def avif() -> bytes:
    return b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf" + bytes(500)


@becomes(NOT_A_PICTURE)
def html() -> bytes:
    return b"<!doctype html><title>x</title>" + SCRIPT


@becomes(NOT_A_PICTURE)
def nothing() -> bytes:
    return b""


@becomes(NOT_A_PICTURE)
def one_byte() -> bytes:
    return b"\xff"


@becomes(TOO_LARGE)
def larger_than_allowed() -> bytes:
    return png(after=bytes(21 * 2**20))
