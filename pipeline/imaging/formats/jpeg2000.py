"""Read JPEG 2000 files, JP2 boxes (ISO/IEC 15444-1, Annex I) or a bare codestream."""

from __future__ import annotations

from typing import BinaryIO

from pipeline.imaging.formats import pillow
from pipeline.imaging.formats.common import Decoded, Resolution, Size, UnknownResolution

SIGNATURES = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
PILLOW_NAME = "JPEG2000"


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
    x, y = stated
    return Resolution(float(x), float(y), "JPEG 2000 box res, px per metre")


def decode(data: bytes) -> Decoded:
    """Decode a JPEG 2000; Pillow scales pixels of 9 to 15 bits to 16."""
    pixels = pillow.decode_pixels(data, PILLOW_NAME)
    return Decoded(pixels, 255 * 257 if pixels.itemsize == 2 else 255)
