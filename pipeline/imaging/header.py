"""Recognize the format of an image file, and read the size and the resolution in its header.

OpenCV's and Pillow's decoders allocate the size that a header states. The header is therefore
checked before decoding, and errors name the file. Each format has a module in
`pipeline.imaging.formats`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.imaging.formats import bmp, foreign, jpeg, jpeg2000, pgm, png, tiff, wsq
from pipeline.imaging.formats.common import (
    DamagedFile,
    Decoded,
    Resolution,
    Size,
    UnknownResolution,
)

EXPECTED = "expected PNG, TIFF, BMP, JPEG, JPEG 2000, WSQ or PGM in grey"
# In order of preference for the same image: those without loss first
EXTENSIONS = (
    *(".tif", ".tiff", ".png", ".bmp", ".dib", ".pgm", ".pnm", ".ppm"),
    *(".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc", ".wsq", ".jpg", ".jpeg", ".jpe", ".jfif"),
)


@dataclass(frozen=True)
class Format:
    """Functions of one file format; they raise struct.error where the file is too short.

    Attributes:
        signatures: first bytes of its files.
        size: reads the header of a seekable file.
        resolution: the same; UnknownResolution where it states none.
        decode: decodes the bytes of a file; DamagedFile or UnsupportedFile.
    """

    signatures: tuple[bytes, ...]
    size: Callable[[BinaryIO], Size]
    resolution: Callable[[BinaryIO], Resolution]
    decode: Callable[[bytes], Decoded]


FORMATS = (
    Format((png.SIGNATURE,), png.size, png.resolution, png.decode),
    Format(tiff.SIGNATURES, tiff.size, tiff.resolution, tiff.decode),
    Format((bmp.SIGNATURE,), bmp.size, bmp.resolution, bmp.decode),
    Format((jpeg.SIGNATURE,), jpeg.size, jpeg.resolution, jpeg.decode),
    Format(jpeg2000.SIGNATURES, jpeg2000.size, jpeg2000.resolution, jpeg2000.decode),
    Format((wsq.SIGNATURE,), wsq.size, wsq.resolution, wsq.decode),
    Format(pgm.SIGNATURES, pgm.size, pgm.resolution, pgm.decode),
)


def format_of(start: bytes) -> Format | None:
    """Return the format of a file by its first bytes; None for other files."""
    return next((kind for kind in FORMATS if start.startswith(kind.signatures)), None)


def describe_unknown(start: bytes) -> str:
    """Return what a file of no format that is read is, by its first bytes, and what to do."""
    if not start:
        return f"is an empty file; {EXPECTED}"
    return (
        foreign.describe(start)
        or f"does not decode as an image; {EXPECTED}; where it has no header, state its size by"
        " --raw WIDTHxHEIGHT, or give Python its pixels instead of the file"
    )


def image_size(file: BinaryIO) -> Size:
    """Return the (width, height) in px that an image file states; reads the header alone.

    Raises:
        DamagedFile: the header is damaged, or the file is of no format that is read.
    """
    start = file.read(foreign.HEAD_BYTES)
    image_format = format_of(start)
    if image_format is None:
        raise DamagedFile(describe_unknown(start))
    try:
        return image_format.size(file)
    except struct.error as error:
        raise DamagedFile("is truncated: it ends within its header") from error


def image_resolution(file: BinaryIO) -> Resolution:
    """Return the resolution that an image file states; reads the header alone.

    The values are not checked for plausibility.

    Raises:
        UnknownResolution: no resolution is stated, or the header is damaged.
    """
    start = file.read(foreign.HEAD_BYTES)
    image_format = format_of(start)
    if image_format is None:
        raise UnknownResolution(describe_unknown(start))
    try:
        return image_format.resolution(file)
    except (struct.error, DamagedFile) as error:
        raise UnknownResolution("its resolution is unknown: its header is damaged") from error
