"""What an image file says of itself, checked before a decoder sees it.

A decoder allocates what a header claims and writes of damage to the terminal without a file's
name; here a claim costs nothing, and a Fault names the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from zlib import crc32

from shards.foundation.errors import Fault

EXPECTED = "expected PNG, TIFF or BMP, 8-bit grey"
WIDTH, HEIGHT = 256, 257  # TIFF 6.0, section 8
SHORT = 3

Size = tuple[int, int]


def size(data: bytes, name: str) -> Size:
    """(width, height) px that the PNG, TIFF or BMP file `data` claims.

    Fault that calls it `name` where it is none of these or ends too early, or where a part of a
    PNG is not what its checksum says.
    """
    if not data:
        raise Fault(f"{name}: is an empty file; {EXPECTED}")
    read = next((read for start, read in READERS.items() if data.startswith(start)), None)
    if read is None:
        raise Fault(f"{name}: does not decode as an image; {EXPECTED}")
    try:
        return read(data, name)
    except KeyError as error:
        raise Fault(f"{name}: is a TIFF file that states no size; {EXPECTED}") from error
    except struct.error as error:
        raise Fault(f"{name}: is truncated: it ends too early, after {len(data)} bytes") from error


def _png(data: bytes, name: str) -> Size:
    """Of IHDR, after the checksums of all chunks up to IEND (PNG, third edition, section 5)."""
    at, kind = 8, b""
    view = memoryview(data)
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        body, at = view[at + 4 : at + 8 + length], at + 12 + length
        if struct.unpack_from(">I", data, at - 4)[0] != crc32(body):
            raise Fault(f"{name}: is damaged: a part of the PNG fails its checksum")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _tiff(data: bytes, name: str) -> Size:
    """Of the first directory (TIFF 6.0, section 2)."""
    order = "<" if data.startswith(b"II") else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    found = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        (found[tag],) = struct.unpack_from(order + ("H" if kind == SHORT else "I"), data, entry + 8)
    return found[WIDTH], found[HEIGHT]


def _bmp(data: bytes, name: str) -> Size:
    """Of BITMAPINFOHEADER, whose height is negative where rows go down."""
    width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height)


READERS: dict[bytes, Callable[[bytes, str], Size]] = {
    b"\x89PNG\r\n\x1a\n": _png,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
    b"BM": _bmp,
}
