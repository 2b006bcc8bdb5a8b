"""Read PGM and PPM files (Netpbm), which state no resolution."""

from __future__ import annotations

from typing import BinaryIO, NoReturn

from pipeline.imaging.formats import pillow
from pipeline.imaging.formats.common import Decoded, Size, UnknownResolution

SIGNATURES = (b"P2", b"P3", b"P5", b"P6")
PILLOW_NAME = "PPM"


def size(file: BinaryIO) -> Size:
    """Return the (width, height) in px."""
    file.seek(0)
    return pillow.image_size(file, PILLOW_NAME)


def resolution(file: BinaryIO) -> NoReturn:
    """Raise UnknownResolution."""
    raise UnknownResolution("its resolution is unknown: a PGM cannot state one")


def decode(data: bytes) -> Decoded:
    """Decode a PGM; Pillow scales the maximum that the file states to 255 or 65535."""
    pixels = pillow.decode_pixels(data, PILLOW_NAME)
    return Decoded(pixels, 255 * 257 if pixels.itemsize == 2 else 255)
