"""Pictures that people bring: looked at before they are decoded, then written anew, so that only pixels remain.

What a file is called and said to be decides nothing. Its first bytes choose the decoder, its header tells how much
memory it would take, and what comes out holds no metadata, no second frame and nothing appended.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import threading
from io import BytesIO

from PIL import Image, ImageCms

from cms_ai_images import conf
from cms_ai_images.exceptions import UploadNotAPicture, UploadTooLarge, UploadTooManyPixels, UploadTooSmall

FORMATS = ("JPEG", "PNG", "WebP")
"""What people have. Each further decoder is one more that a hostile file can choose."""
MAX_SIDE = 3072
"""Longest side that is kept, in pixels: half as much again as models draw, for cropping. Twelve megapixels of a phone
would take three times the bytes of its JPEG, and a second to write."""
MIN_SIDE = 16
"""Shortest side, in pixels: two cells of a usual latent."""
MAX_SCANS = 100
"""Scans of a progressive JPEG. Usual are ten; each may walk through all of the picture, however few bytes it has."""
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What each EXIF orientation asks for (CIPA DC-008)."""
ORIENTATION = 0x0112
MAX_TAGS = 200

_turn = threading.Lock()
"""One picture at a time: decoding one may take 24 bytes for each of `UPLOAD_MAX_PIXELS`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CleanPicture:
    """An upright RGB picture in sRGB, as a lossless WebP of at most `MAX_SIDE` pixels a side."""

    data: bytes
    width: int
    height: int

    @property
    def sha256(self) -> str:
        """Of `data`, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def check_size(length: int) -> None:
    """Raise `UploadTooLarge` for a file of so many bytes; ask before reading it."""
    limit = conf.get("UPLOAD_MAX_MIB")
    if length > limit * 2**20:
        raise UploadTooLarge(limit=limit)


def clean(data: bytes) -> CleanPicture:
    """The picture in a file: the first frame, turned upright, on white where it was transparent.

    Raises `UploadTooLarge`, `UploadTooManyPixels`, `UploadTooSmall` or `UploadNotAPicture`.
    """
    check_size(len(data))
    with _turn:
        image = _open(data)
        try:
            picture = _pixels(image)
        except Exception as error:  # decoders raise whatever a broken file makes them stumble over
            raise UploadNotAPicture(formats=", ".join(FORMATS)) from error
        return CleanPicture(data=_encode(picture), width=picture.width, height=picture.height)


def _open(data: bytes) -> Image.Image:
    """The picture, of which nothing but the header was read."""
    limit = conf.get("UPLOAD_MAX_PIXELS")
    try:
        image = Image.open(BytesIO(data), formats=[name.upper() for name in FORMATS])
    except Image.DecompressionBombError as error:
        raise UploadTooManyPixels(limit=limit // 10**6) from error
    except Exception as error:  # as above
        raise UploadNotAPicture(formats=", ".join(FORMATS)) from error
    if image.width * image.height > limit:
        raise UploadTooManyPixels(limit=limit // 10**6)
    if min(image.size) < MIN_SIDE:
        raise UploadTooSmall(width=image.width, height=image.height, least=MIN_SIDE)
    if data.count(b"\xff\xda") > MAX_SCANS and image.format in ("JPEG", "MPO"):  # in its data, ff is followed by 00
        raise UploadNotAPicture(formats=", ".join(FORMATS))
    return image


def _pixels(image: Image.Image) -> Image.Image:
    """Decode, reduce, flatten and turn."""
    image.load()  # the second try would not tell that the first one has failed
    orientation, profile = _orientation(image.info.get("exif", b"")), image.info.get("icc_profile")
    if image.mode.startswith("I"):  # 16 bits of grey
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    elif image.mode in ("1", "P", "PA", "LA") or image.has_transparency_data:
        image = image.convert("RGBA")
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    if image.mode == "RGBA":
        white = Image.new("RGB", image.size, "white")
        white.paste(image.convert("RGB"), mask=image.getchannel("A"))
        image = white
    image = _to_srgb(image, profile)
    return image.transpose(TRANSPOSITIONS[orientation]) if orientation in TRANSPOSITIONS else image


def _orientation(exif: bytes) -> int:
    """How the camera was held; 1, which is upright, where nothing readable says otherwise.

    Read here (TIFF 6.0, section 2), because Pillow's parser of all there is in EXIF raises and warns of what is broken.
    """
    body = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(body[:2])
    if order is None or len(body) < 8:
        return 1
    directory = body[struct.unpack_from(order + "I", body, 4)[0] :][: 2 + 12 * MAX_TAGS]
    for offset in range(2, len(directory) - 11, 12):
        tag, _kind, _count, value = struct.unpack_from(order + "HHIH", directory, offset)
        if tag == ORIENTATION:
            return int(value)
    return 1


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours as the profile means them. A profile that is broken, or of another kind of picture, means nothing."""
    if profile:
        try:
            given = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(image, given, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _encode(image: Image.Image) -> bytes:
    """Lossless, so that cleaning a clean picture changes nothing; for a megapixel faster than a PNG by half."""
    bare = Image.new("RGB", image.size)
    bare.paste(image)  # what Pillow carries beside the pixels stays behind
    buffer = BytesIO()
    bare.save(buffer, "WEBP", lossless=True, quality=0, method=0)
    return buffer.getvalue()
