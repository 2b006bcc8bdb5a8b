"""Read JPEG files (ITU-T T.81, Annex B: markers; JFIF 1.02: density)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from pipeline.imaging.formats import exif
from pipeline.imaging.formats.common import (
    CENTIMETRES_PER_INCH,
    DamagedFile,
    Decoded,
    Resolution,
    Size,
    UnknownResolution,
    UnsupportedFile,
    unpack,
)

SIGNATURE = b"\xff\xd8\xff"
APP0, APP1, START_OF_SCAN = 0xE0, 0xE1, 0xDA
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive
DENSITY_UNITS = {1: (1.0, "px per inch"), 2: (CENTIMETRES_PER_INCH, "px per cm")}


def size(file: BinaryIO) -> Size:
    """Return the (width, height) in px of the frame header."""
    for marker, _ in _segments(file):
        if marker in FRAMES:
            _, height, width = unpack(file, ">BHH")
            return width, height
    raise DamagedFile("the JPEG has no frame header")


def resolution(file: BinaryIO) -> Resolution:
    """Return the density of JFIF, or else the resolution of Exif.

    Raises:
        UnknownResolution: neither is there, or the density has no unit.
    """
    for marker, length in _segments(file):
        content = file.read(length) if marker in (APP0, APP1) else b""
        if marker == APP0 and content.startswith(b"JFIF\0"):
            _, unit, x, y = unpack(io.BytesIO(content[5:]), ">HBHH")
            if unit in DENSITY_UNITS and x and y:
                factor, name = DENSITY_UNITS[unit]
                return Resolution(x * factor, y * factor, f"JFIF density, {name}")
        if marker == APP1 and content.startswith(exif.MARKER):
            return exif.resolution(content)
    raise UnknownResolution("its resolution is unknown: the JPEG states none with a unit")


def decode(data: bytes) -> Decoded:
    """Decode a JPEG; any warning of the decoder counts as damage.

    libjpeg goes on after damaged data, with grey or shifted blocks.
    """
    orientation = 1
    for marker, length in _segments(file := io.BytesIO(data)):
        if marker in FRAMES and marker not in HUFFMAN_FRAMES:
            raise UnsupportedFile("is a lossless or arithmetic JPEG; convert it to PNG")
        if marker in FRAMES and unpack(file, ">B") != (8,):
            raise UnsupportedFile("is a JPEG of more than 8 bits per px; convert it to PNG")
        if marker == APP1 and (content := file.read(length)).startswith(exif.MARKER):
            orientation = exif.orientation(content)
    return Decoded(decode_strictly(data), orientation=orientation)


def decode_strictly(data: bytes) -> NDArray[np.uint8]:
    """Decode the pixels of a JPEG stream to uint8 [H, W], or [H, W, 3] where it has colours."""
    try:
        _, _, space, _ = simplejpeg.decode_jpeg_header(data, strict=True)
        grey = space == "Gray"
        if space in ("CMYK", "YCCK"):
            raise UnsupportedFile(f"is a JPEG of {space} colours; convert it to grey")
        pixels = simplejpeg.decode_jpeg(data, "GRAY" if grey else "RGB", strict=True)
    except ValueError as error:
        raise DamagedFile(f"the JPEG data is damaged ({error})") from error
    return np.asarray(pixels[..., 0] if grey else pixels, np.uint8)


def _segments(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield (marker, length of the content) of each segment up to the first scan."""
    offset, marker = 2, 0
    while marker != START_OF_SCAN:
        file.seek(offset)
        prefix, marker, length = unpack(file, ">BBH")
        if prefix != 0xFF:
            raise DamagedFile("the JPEG has no marker where one is expected")
        if marker == 0xFF:  # a fill byte
            offset += 1
            continue
        if length < 2:  # the length counts its own two bytes
            raise DamagedFile("the JPEG has a segment of no length")
        yield marker, length - 2
        offset += 2 + length
