"""The resolution that a PNG's header tells."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from pipeline.sources.listing import Unparsed

PPI_RANGE = (200.0, 2540.0)  # what a fingerprint scanner may claim; 72 or 96 is an editor's default
_PNG = b"\x89PNG\r\n\x1a\n"
_INCH = 0.0254  # m


def png_ppi(path: Path) -> float | Unparsed:
    """The resolution in a PNG's pHYs chunk, pixels an inch; what is wrong where there is none."""
    try:
        with path.open("rb") as file:
            signature = file.read(len(_PNG))
            if signature != _PNG:
                return Unparsed("is not a PNG file" if signature else "empty file")
            phys = _phys(file)
    except OSError as error:
        return Unparsed(f"cannot be read: {error.strerror}")
    if phys is None:
        return Unparsed("its resolution is unknown: no pHYs chunk, which the PNG was made with")
    return _ppi(*struct.unpack(">IIB", phys))


def _phys(file: BinaryIO) -> bytes | None:
    """The body of a PNG's pHYs chunk, which stands before its pixels; None where there is none."""
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"pHYs":
            body = file.read(9)
            return body if len(body) == 9 else None
        if kind in (b"IDAT", b"IEND"):
            return None
        file.seek(length + 4, 1)
    return None


def _ppi(x: int, y: int, unit: int) -> float | Unparsed:
    """Pixels an inch of pHYs' whole pixels a metre: 19,685 is 500, not 499.999."""
    ppi = x * _INCH
    if unit != 1 or x != y or not PPI_RANGE[0] <= ppi <= PPI_RANGE[1]:
        return Unparsed(f"its pHYs chunk says {x} × {y} a {'metre' if unit == 1 else 'unit'}")
    return float(round(ppi)) if abs(ppi - round(ppi)) <= _INCH else ppi
