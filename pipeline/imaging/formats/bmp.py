"""Read BMP files of all headers: the 12 bytes of OS/2 and the 40 and more bytes of Windows."""

from __future__ import annotations

import io
from typing import BinaryIO

from pipeline.imaging.formats import pillow
from pipeline.imaging.formats.common import (
    DamagedFile,
    Decoded,
    Resolution,
    Size,
    UnknownResolution,
    UnsupportedFile,
    ppi_of_metric,
    unpack,
)

SIGNATURE = b"BM"
PILLOW_NAME = "BMP"
RLE8, RLE4 = 1, 2  # values of biCompression
END_OF_IMAGE, JUMP = 1, 2  # after a byte 0; also 0, the end of a row, or a number of pixels
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
    """Decode a BMP; Pillow cuts off or shifts run-length encoded rows of a wrong length."""
    file = io.BytesIO(data)
    file.seek(10)
    offset, header_bytes = unpack(file, "<II")
    if header_bytes != CORE_HEADER_BYTES:
        file.seek(30)
        (compression,) = unpack(file, "<I")
        if compression in (RLE8, RLE4):
            _check_runs(data[offset:], size(file), 1 if compression == RLE8 else 2)
    return Decoded(pillow.decode_pixels(data, PILLOW_NAME))


def _check_runs(data: bytes, image_size: Size, px_per_byte: int) -> None:
    """Check that run-length encoded pixels fill every row.

    Raises:
        DamagedFile: a row has another length, or there are too few rows.
        UnsupportedFile: pixels are left out by jumps.
        struct.error: the data ends too early.
    """
    width, height = image_size
    file, x, rows = io.BytesIO(data), 0, 0
    while True:
        count, value = unpack(file, "BB")
        if count:  # a run
            x += count
        elif value > JUMP:  # single pixels, padded to 16 bits
            x += value
            padded = -(-value // px_per_byte)
            file.seek(padded + padded % 2, io.SEEK_CUR)
        elif value == JUMP:
            raise UnsupportedFile("is a BMP that leaves out pixels; convert it to PNG")
        else:
            is_last = value == END_OF_IMAGE
            if x == width:
                rows += 1
            elif x or not is_last:
                raise DamagedFile(f"row {rows + 1} unfolds to {x} px; expected {width}")
            if is_last:
                break
            x = 0
    if rows != height:
        raise DamagedFile(f"unfolds to {rows} rows; expected {height}")
