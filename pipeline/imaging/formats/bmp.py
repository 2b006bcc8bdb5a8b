"""Read BMP files of all headers: the 12 bytes of OS/2 and the 40 and more bytes of Windows."""

from __future__ import annotations

from typing import BinaryIO

from pipeline.imaging.formats import pillow
from pipeline.imaging.formats.common import (
    Decoded,
    Resolution,
    Size,
    UnknownResolution,
    ppi_of_metric,
    unpack,
)

SIGNATURE = b"BM"
PILLOW_NAME = "BMP"
CORE_HEADER_BYTES = 12  # BITMAPCOREHEADER has no resolution


def size(file: BinaryIO) -> Size:
    """Return the (width, height) in px."""
    file.seek(14)
    (header_bytes,) = unpack(file, "<I")
    width, height = unpack(file, "<HH" if header_bytes == CORE_HEADER_BYTES else "<ii")
    return width, abs(height)  # negative where the rows go from top to bottom


def resolution(file: BinaryIO) -> Resolution:
    """Return the resolution of the fields biXPelsPerMeter and biYPelsPerMeter."""
    file.seek(14)
    if unpack(file, "<I")[0] == CORE_HEADER_BYTES:
        raise UnknownResolution("its resolution is unknown: this kind of BMP cannot state one")
    file.seek(38)
    x, y = unpack(file, "<ii")
    if x <= 0 or y <= 0:
        raise UnknownResolution("its resolution is unknown: the BMP header states none")
    return Resolution(ppi_of_metric(x), ppi_of_metric(y), "BMP header, px per metre")


def decode(data: bytes) -> Decoded:
    """Decode a BMP."""
    return Decoded(pillow.decode_pixels(data, PILLOW_NAME))
