"""The resolution that an image file states of itself."""

from __future__ import annotations

import struct
from pathlib import Path

from shards.foundation.errors import Fault

PLAUSIBLE_RANGE = (200.0, 2400.0)  # ppi of fingerprint scanners; 72 and 96 are what editors write
DEFAULT = 500.0


def of_file(path: Path) -> float:
    """Pixels an inch from the tag of a PNG, TIFF or BMP; DEFAULT where it has none to believe.

    Believed is what is alike along x and y and within PLAUSIBLE_RANGE. A damaged tag counts as
    none: whether the file is an image at all is found out by decoding it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error.strerror}") from error
    try:
        x, y = _stated(data)
    except (struct.error, ZeroDivisionError, KeyError):
        return DEFAULT
    low, high = PLAUSIBLE_RANGE
    return x if low <= x <= high and abs(x - y) < 0.01 * x else DEFAULT


def _stated(data: bytes) -> tuple[float, float]:
    if data.startswith(b"\x89PNG"):
        return _png(data)
    if data.startswith((b"II*\0", b"MM\0*")):
        return _tiff(data)
    if data.startswith(b"BM"):
        x, y = struct.unpack_from("<ii", data, 38)  # BITMAPINFOHEADER, px a metre
        return _inches(x), _inches(y)
    return 0.0, 0.0


def _inches(a_metre: int) -> float:
    """Pixels an inch of whole pixels a metre: 19,685 means 500, not 499.999."""
    return float(round(a_metre * 0.0254, 1))


def _png(data: bytes) -> tuple[float, float]:
    """The chunk pHYs, which stands before the pixels."""
    at = 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"pHYs":
            x, y, unit = struct.unpack_from(">IIB", data, at + 8)
            return (_inches(x), _inches(y)) if unit == 1 else (0.0, 0.0)
        if kind in (b"IDAT", b"IEND"):
            return 0.0, 0.0
        at += 12 + length


def _tiff(data: bytes) -> tuple[float, float]:
    """XResolution, YResolution and ResolutionUnit of the first directory (TIFF 6.0, section 8)."""
    order = "<" if data.startswith(b"II") else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    fields = {}
    for k in range(count):
        (tag,) = struct.unpack_from(order + "H", data, at + 2 + 12 * k)
        fields[tag] = at + 10 + 12 * k  # of its value, or of where that lies
    ppi = []
    for tag in (282, 283):
        (where,) = struct.unpack_from(order + "I", data, fields[tag])
        numerator, denominator = struct.unpack_from(order + "II", data, where)
        ppi.append(numerator / denominator)
    unit = struct.unpack_from(order + "H", data, fields[296])[0] if 296 in fields else 2
    factor = {2: 1.0, 3: 2.54}[unit]
    return ppi[0] * factor, ppi[1] * factor
