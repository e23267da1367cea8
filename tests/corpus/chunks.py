"""The building blocks of picture files, so that a file can be wrong in exactly one place."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, body: bytes, *, crc: int | None = None, length: int | None = None) -> bytes:
    """One chunk; `crc` and `length` replace the right ones."""
    checksum = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body) if length is None else length) + kind + body + struct.pack(">I", checksum)


def png_header(width: int, height: int, *, depth: int = 8, color: int = 2, interlaced: int = 0) -> bytes:
    """The chunk IHDR. Negative numbers are written as the bytes that a careless reader takes for them."""
    sides = struct.pack(">ii" if min(width, height) < 0 else ">II", width, height)
    return png_chunk(b"IHDR", sides + bytes([depth, color, 0, 0, interlaced]))


def png(
    width: int = 32, height: int = 32, *extra: bytes, data: bytes | None = None, after: bytes = b"", **header: int
) -> bytes:
    """A grey RGB picture, with further chunks before its data and anything after its end."""
    rows = b"".join(b"\0" + b"\x80" * 3 * width for _ in range(height)) if data is None else b""
    packed = zlib.compress(rows) if data is None else data
    chunks = [png_header(width, height, **header), *extra, png_chunk(b"IDAT", packed), png_chunk(b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(chunks) + after


def with_png_chunk(data: bytes, chunk: bytes) -> bytes:
    """The same picture with one more chunk behind its header."""
    end = len(PNG_SIGNATURE) + 25
    return data[:end] + chunk + data[end:]


def zeros(megabytes: int) -> bytes:
    """A zlib stream of so many megabytes of zeros: a thousandth of that."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


def jpeg_segment(marker: int, body: bytes) -> bytes:
    """One segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_jpeg_segments(data: bytes, *segments: bytes) -> bytes:
    """The same picture with further segments at its start."""
    return data[:2] + b"".join(segments) + data[2:]


def jpeg_scans(data: bytes) -> Iterator[bytes]:
    """The scans of a JPEG, with their headers and tables."""
    parts = data.split(b"\xff\xda")
    return (b"\xff\xda" + part.removesuffix(b"\xff\xd9") for part in parts[1:])


def riff(kind: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A RIFF container, such as a WebP."""
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + kind + body


def webp_canvas(width: int, height: int, *, flags: int = 0) -> tuple[bytes, bytes]:
    """The chunk VP8X that says how large a WebP is; 2 in `flags` means that it is animated."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + sides
