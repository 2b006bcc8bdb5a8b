"""Read WSQ files (FBI, IAFIS-IC-0110, "WSQ Gray-Scale Fingerprint Image Compression")."""

from __future__ import annotations

import importlib.util
import re
from typing import BinaryIO

import numpy as np

from pipeline.imaging.formats import wsq_coefficients, wsq_process
from pipeline.imaging.formats.common import (
    DamagedFile,
    Decoded,
    Resolution,
    Size,
    UnknownResolution,
    UnsupportedFile,
    unpack,
)

SIGNATURE = b"\xff\xa0"
START_OF_FRAME = 0xFFA2
TABLES = range(0xFFA3, 0xFFA9)  # markers of segments with a length
# NIST's comment segments hold lines of a name and a value; the first are in the file's beginning.
COMMENT_PPI = re.compile(rb"\nPPI (\d+)\n")
COMMENT_BYTES = 4096


def size(file: BinaryIO) -> Size:
    """Return the (width, height) in px of the frame header."""
    offset = len(SIGNATURE)
    while True:
        file.seek(offset)
        marker, length = unpack(file, ">HH")
        if marker == START_OF_FRAME:
            _, height, width = unpack(file, ">HHH")  # after the greys of black and white
            return width, height
        if marker not in TABLES:
            raise DamagedFile("the WSQ has no frame header")
        offset += 2 + length


def resolution(file: BinaryIO) -> Resolution:
    """Return the resolution of a comment of NIST's encoder; UnknownResolution without it."""
    file.seek(0)
    match = COMMENT_PPI.search(file.read(COMMENT_BYTES))
    if match is None:
        raise UnknownResolution("its resolution is unknown: the WSQ has no comment PPI")
    ppi = float(match[1])
    return Resolution(ppi, ppi, "WSQ comment PPI")


def decode(data: bytes) -> Decoded:
    """Decode a WSQ whose number of coefficients is right; the format has no checksum."""
    if importlib.util.find_spec("wsq") is None:
        raise UnsupportedFile(
            "is a WSQ, and the package wsq, which decodes them on Linux, is not installed; convert"
            " it to PNG"
        )
    wsq_coefficients.check_coefficients(data)
    result = wsq_process.DECODER.decode(data)
    if result is None:
        raise DamagedFile("its pixels do not decode")
    (width, height), pixels = result
    return Decoded(np.frombuffer(pixels, np.uint8).reshape(height, width))
