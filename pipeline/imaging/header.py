"""Parse the headers of PNG, TIFF and BMP files: the size in pixels and the resolution.

OpenCV's decoder allocates the size that a header states and prints warnings without a file name.
The header is therefore checked before decoding, and errors name the file.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from zlib import crc32

from shards.foundation.errors import Fault

EXPECTED = "expected PNG, TIFF or BMP, 8-bit grey"
METRES_PER_INCH = 0.0254
CENTIMETRES_PER_INCH = 2.54

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# TIFF 6.0, section 8: tags; section 2: field type; section 8: values of ResolutionUnit.
IMAGE_WIDTH, IMAGE_LENGTH, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 256, 257, 282, 283, 296
SHORT = 3
TIFF_UNITS = {2: 1.0, 3: CENTIMETRES_PER_INCH}  # ResolutionUnit → factor to pixels per inch

Size = tuple[int, int]  # (width, height), px
Resolution = tuple[float, float]  # (along x, along y), px per inch


class UnknownResolution(Exception):
    """A file states no usable resolution; the message is the reason, without the file's name."""


class DamagedHeader(Exception):
    """A header contradicts itself; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class Format:
    """Parsers of one file format; each reads from a seekable file and raises struct.error when
    the file is too short.
    """

    size: Callable[[BinaryIO], Size]
    resolution: Callable[[BinaryIO], Resolution]


def image_size(data: bytes, name: str) -> Size:
    """Return the (width, height) in px that the header of an image file states.

    Args:
        data: the whole file; in a PNG the checksums of all chunks are verified.
        name: the file's name in error messages.

    Raises:
        Fault: the data is empty, of another format, truncated, or a PNG with a wrong checksum.
    """
    if not data:
        raise Fault(f"{name}: is an empty file; {EXPECTED}")
    image_format = _format(data)
    if image_format is None:
        raise Fault(f"{name}: does not decode as an image; {EXPECTED}")
    try:
        return image_format.size(io.BytesIO(data))
    except DamagedHeader as error:
        raise Fault(f"{name}: is damaged: {error}") from error
    except struct.error as error:
        raise Fault(f"{name}: is truncated: it ends too early, after {len(data)} bytes") from error


def image_resolution(file: BinaryIO) -> Resolution:
    """Return the resolution (along x, along y) in px per inch that an image file states.

    Only the header is read. The values are not checked for plausibility.

    Raises:
        UnknownResolution: no resolution is stated, or the header is damaged.
    """
    start = file.read(len(PNG_SIGNATURE))
    if not start:
        raise UnknownResolution("is an empty file")
    image_format = _format(start)
    if image_format is None:
        raise UnknownResolution("is not a PNG, TIFF or BMP file")
    try:
        return image_format.resolution(file)
    except (struct.error, DamagedHeader) as error:
        raise UnknownResolution("its resolution is unknown: its header is damaged") from error


def _format(start: bytes) -> Format | None:
    return next((f for signature, f in FORMATS.items() if start.startswith(signature)), None)


def _unpack(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _ppi_of_metric(px_per_metre: int) -> float:
    """Convert px per metre to px per inch; 19,685 is 500 and not 499.999.

    Headers hold whole px per metre, one of which is 0.0254 ppi: a whole ppi within this step is
    the value that was meant.
    """
    ppi = px_per_metre * METRES_PER_INCH
    return float(round(ppi)) if abs(ppi - round(ppi)) <= METRES_PER_INCH else ppi


# PNG, third edition, section 5: chunks of a length, a type, data and a checksum.


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield (type, length of the data) of each chunk, the file placed at the chunk's data."""
    offset, kind = len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        file.seek(offset)
        length, kind = _unpack(file, ">I4s")
        yield kind, length
        offset += 12 + length


def _png_size(file: BinaryIO) -> Size:
    for kind, length in _png_chunks(file):
        data = file.read(length)
        if _unpack(file, ">I")[0] != crc32(data, crc32(kind)):
            raise DamagedHeader("a part of the PNG fails its checksum")
    file.seek(16)
    width, height = _unpack(file, ">II")
    return width, height


def _png_resolution(file: BinaryIO) -> Resolution:
    """Of the chunk pHYs, which precedes the pixels; its unit is 1 for the metre."""
    for kind, _ in _png_chunks(file):
        if kind == b"pHYs":
            x, y, unit = _unpack(file, ">IIB")
            if unit != 1:
                raise UnknownResolution("its resolution is unknown: pHYs states no unit of length")
            return _ppi_of_metric(x), _ppi_of_metric(y)
        if kind == b"IDAT":
            break
    raise UnknownResolution("its resolution is unknown: no pHYs chunk in the PNG header")


@dataclass(frozen=True)
class TiffDirectory:
    """The first image file directory (TIFF 6.0, section 2)."""

    file: BinaryIO
    byte_order: str  # "<" or ">", as in struct
    entries: dict[int, tuple[int, bytes]]  # tag → (field type, 4 bytes: the value or its offset)

    @classmethod
    def read(cls, file: BinaryIO) -> TiffDirectory:
        """Read the directory's entries, but no values that lie outside it."""
        file.seek(0)
        byte_order = "<" if file.read(4).startswith(b"II") else ">"
        (offset,) = _unpack(file, byte_order + "I")
        file.seek(offset)
        (count,) = _unpack(file, byte_order + "H")
        entries = {}
        for _ in range(count):
            tag, kind, _, value = _unpack(file, byte_order + "HHI4s")
            entries[tag] = kind, value
        return cls(file, byte_order, entries)

    def number(self, tag: int) -> int:
        """Return the one SHORT or LONG of a tag, or its offset; DamagedHeader without the tag."""
        if tag not in self.entries:
            raise DamagedHeader(f"the TIFF has no tag {tag}")
        kind, value = self.entries[tag]
        layout = self.byte_order + ("H" if kind == SHORT else "I")
        return int(struct.unpack_from(layout, value)[0])

    def rational(self, tag: int) -> float:
        """Return the one RATIONAL of a tag; DamagedHeader without the tag or for x / 0."""
        self.file.seek(self.number(tag))
        numerator, denominator = _unpack(self.file, self.byte_order + "II")
        if not denominator:
            raise DamagedHeader(f"the TIFF's tag {tag} divides by 0")
        return float(numerator / denominator)


def _tiff_size(file: BinaryIO) -> Size:
    directory = TiffDirectory.read(file)
    return directory.number(IMAGE_WIDTH), directory.number(IMAGE_LENGTH)


def _tiff_resolution(file: BinaryIO) -> Resolution:
    """Of XResolution, YResolution and ResolutionUnit, which is the inch where it is absent."""
    directory = TiffDirectory.read(file)
    unit = directory.number(RESOLUTION_UNIT) if RESOLUTION_UNIT in directory.entries else 2
    if unit not in TIFF_UNITS or X_RESOLUTION not in directory.entries:
        raise UnknownResolution("its resolution is unknown: the TIFF states none with a unit")
    x, y = directory.rational(X_RESOLUTION), directory.rational(Y_RESOLUTION)
    return x * TIFF_UNITS[unit], y * TIFF_UNITS[unit]


# BITMAPINFOHEADER of a BMP file.


def _bmp_size(file: BinaryIO) -> Size:
    """The height is negative where the rows go from top to bottom."""
    file.seek(18)
    width, height = _unpack(file, "<ii")
    return width, abs(height)


def _bmp_resolution(file: BinaryIO) -> Resolution:
    file.seek(38)
    x, y = _unpack(file, "<ii")
    return _ppi_of_metric(x), _ppi_of_metric(y)


FORMATS = {  # first bytes of a file → its parsers
    PNG_SIGNATURE: Format(_png_size, _png_resolution),
    b"II*\0": Format(_tiff_size, _tiff_resolution),
    b"MM\0*": Format(_tiff_size, _tiff_resolution),
    b"BM": Format(_bmp_size, _bmp_resolution),
}
