"""Read JPEG 2000 files, JP2 boxes (ISO/IEC 15444-1, Annex I) or a bare codestream."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.imaging.formats import pillow
from pipeline.imaging.formats.common import (
    METRES_PER_INCH,
    DamagedFile,
    Decoded,
    Resolution,
    Size,
    UnknownResolution,
    UnsupportedFile,
    ppi_of_metric,
)

SIGNATURES = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
PILLOW_NAME = "JPEG2000"
START_OF_CODESTREAM = b"\xff\x4f\xff\x51"
START_OF_TILE_PART = 0xFF90


def size(file: BinaryIO) -> Size:
    """Return the (width, height) in px."""
    file.seek(0)
    return pillow.image_size(file, PILLOW_NAME)


def resolution(file: BinaryIO) -> Resolution:
    """Return the capture resolution of the box "res "; UnknownResolution without it."""
    file.seek(0)
    stated = pillow.open_image(file, PILLOW_NAME).info.get("dpi")
    if stated is None:
        raise UnknownResolution("its resolution is unknown: the JPEG 2000 states none")
    x, y = (ppi_of_metric(ppi / METRES_PER_INCH) for ppi in stated)
    return Resolution(x, y, "JPEG 2000 box res, px per metre")


def decode(data: bytes) -> Decoded:
    """Decode a JPEG 2000; Pillow scales pixels of 9 to 15 bits to 16.

    Tiles that are missing would be black. Damage within a tile does not show: the format has no
    checksum.
    """
    start = data.find(START_OF_CODESTREAM)
    if start < 0:
        raise DamagedFile("the JPEG 2000 has no codestream")
    _check_codestream(data[start:])
    pixels = pillow.decode_pixels(data, PILLOW_NAME)
    return Decoded(pixels, 255 * 257 if pixels.itemsize == 2 else 255)


def _check_codestream(data: bytes) -> None:
    """Check that every tile is there (Annex A: SIZ, SOT).

    Raises:
        DamagedFile: tiles are missing.
        UnsupportedFile: there are several components of more than 8 bits, of which Pillow keeps 8.
        struct.error: the data ends too early.
    """
    width, height, tile_width, tile_height, tile_x, tile_y = struct.unpack_from(">2I8x4I", data, 8)
    components, bits_minus_1 = struct.unpack_from(">HB", data, 40)
    if components > 1 and bits_minus_1 & 0x7F >= 8:
        raise UnsupportedFile("is a JPEG 2000 of several channels of 16 bits; convert it to grey")
    if not (tile_width and tile_height):
        raise DamagedFile("the JPEG 2000 states tiles of no size")
    count = -(-(width - tile_x) // tile_width) * -(-(height - tile_y) // tile_height)
    tiles = set(_tile_numbers(data))
    if len(tiles) < count:
        raise DamagedFile(f"has {len(tiles)} of its {count} tiles")


def _tile_numbers(data: bytes) -> Iterator[int]:
    """Yield the number of the tile of each tile part of a codestream."""
    offset = 2
    while True:
        marker, length = struct.unpack_from(">HH", data, offset)
        if marker == START_OF_TILE_PART:
            break
        offset += 2 + length
    while marker == START_OF_TILE_PART:
        _, number, length = struct.unpack_from(">HHI", data, offset + 2)
        yield number
        if not length:  # up to the end of the file
            return
        offset += length
        (marker,) = struct.unpack_from(">H", data, offset)
