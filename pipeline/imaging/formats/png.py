"""Read PNG files (PNG specification, third edition; section 5: chunks)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.formats import exif, pillow
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
from pipeline.imaging.formats.library_output import suppress_library_output

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PILLOW_NAME = "PNG"
GREY, COLOUR = 0, 2  # colour types without palette and alpha
CHANNELS_OF_16_BITS = (2, 4, 6)  # colour types of several channels
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type → channels
# The seven passes of interlaced pixels: first x and y, step along x and y
ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def size(file: BinaryIO) -> Size:
    """Return the (width, height) in px of the chunk IHDR."""
    file.seek(16)
    width, height = unpack(file, ">II")
    return width, height


def resolution(file: BinaryIO) -> Resolution:
    """Return the resolution of the chunk pHYs, which precedes the pixels.

    Raises:
        UnknownResolution: the chunk is missing, or states no unit of length.
    """
    for kind, _ in _chunks(file):
        if kind == b"pHYs":
            x, y, unit = unpack(file, ">IIB")
            if unit != 1:
                raise UnknownResolution("its resolution is unknown: pHYs states no unit of length")
            return Resolution(ppi_of_metric(x), ppi_of_metric(y), "pHYs, px per metre")
        if kind == b"IDAT":
            break
    raise UnknownResolution("its resolution is unknown: no pHYs chunk in the PNG header")


def decode(data: bytes) -> Decoded:
    """Decode a PNG after verifying the checksum of every chunk and the length of its pixels.

    An animation (chunk acTL) holds further images; the one that all programs show is decoded.
    """
    chunks, parts = _read_chunks(data)
    bits, colour_type, interlace = data[24], data[25], data[28]
    is_plain = (bits, colour_type, interlace) == (8, GREY, 0)
    if not is_plain:
        _check_length(data, parts)
    if bits == 16 and colour_type in CHANNELS_OF_16_BITS:
        pixels = _decode_wide_channels(data)
    else:
        pixels = pillow.decode_pixels(data, PILLOW_NAME)
    # Rows that plain data lacks are black; so may a sound one be.
    if is_plain and not pixels[-1].any():
        _check_length(data, parts)
    if b"tRNS" in chunks and colour_type in (GREY, COLOUR):
        _check_transparent(pixels, chunks[b"tRNS"], bits)
    maximum = 255 * 257 if pixels.itemsize == 2 else 255
    notes: tuple[str, ...] = ()
    if b"acTL" in chunks:
        notes = ("the still image of an animated PNG",)
    orientation = exif.orientation(chunks[b"eXIf"]) if b"eXIf" in chunks else 1
    return Decoded(pixels, maximum, orientation, notes)


def _read_chunks(data: bytes) -> tuple[dict[bytes, bytes], list[bytes]]:
    """Return the content of each chunk but IDAT by its type, and that of the chunks IDAT."""
    file, chunks, parts = io.BytesIO(data), {}, []
    for kind, length in _chunks(file):
        content = file.read(length)
        if unpack(file, ">I")[0] != zlib.crc32(content, zlib.crc32(kind)):
            raise DamagedFile("a part of the PNG fails its checksum")
        if kind == b"IDAT":
            parts.append(content)
        else:
            chunks[kind] = content
    return chunks, parts


def _check_length(data: bytes, parts: list[bytes]) -> None:
    """Raise DamagedFile where the chunks IDAT unfold to fewer bytes than the pixels have.

    Pillow and OpenCV fill in black then.
    """
    inflated = _Inflated()
    for content in parts:
        inflated.add(content)
    expected = _pixel_bytes(*struct.unpack_from(">IIBBxxB", data, 16))
    if inflated.length < expected:
        raise DamagedFile(f"its pixels unfold to {inflated.length} bytes; expected {expected}")


def _decode_wide_channels(data: bytes) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Decode several channels of 16 bits, of which Pillow keeps 8, to uint16 [H, W, channels]."""
    with suppress_library_output():
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise DamagedFile("its pixels do not decode")
    return np.asarray(pixels, np.uint16)  # blue first, which does not matter for grey


def _check_transparent(pixels: NDArray[Any], content: bytes, bits: int) -> None:
    """Raise UnsupportedFile where px have the grey or colour that tRNS states as transparent."""
    count = 1 if pixels.ndim == 2 else 3
    if len(content) != 2 * count:
        raise DamagedFile("its chunk tRNS is damaged")
    scale = 255 // (2**bits - 1) if bits < 8 else 1  # as Pillow scales the pixels
    colour = np.frombuffer(content, ">u2").astype(np.int64) * scale
    samples = pixels.reshape(*pixels.shape[:2], -1)[..., :count]
    if (samples == colour).all(axis=-1).any():
        raise UnsupportedFile("has transparent pixels; expected grey without transparency")


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield (type, length of the data) of each chunk, the file placed at the chunk's data."""
    offset, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        file.seek(offset)
        length, kind = unpack(file, ">I4s")
        yield kind, length
        offset += struct.calcsize(">I4sI") + length


class _Inflated:
    """Counts the bytes to which the data of the chunks IDAT, one zlib stream, unfolds."""

    piece_bytes = 1 << 20  # unfolded at a time, so that little memory is used

    def __init__(self) -> None:
        self.length = 0
        self._decoder = zlib.decompressobj()

    def add(self, content: bytes) -> None:
        """Unfold the next chunk; DamagedFile where it is no zlib data."""
        try:
            while content:
                self.length += len(self._decoder.decompress(content, self.piece_bytes))
                content = self._decoder.unconsumed_tail
        except zlib.error as error:
            raise DamagedFile(f"its pixels do not decode ({error})") from error


def _pixel_bytes(width: int, height: int, bits: int, colour_type: int, interlace: int) -> int:
    """Return the length of the unfolded pixels (sections 8 and 9): a filter byte before each row.

    Args:
        width, height, bits, colour_type, interlace: fields of IHDR.
    """
    bits *= CHANNELS.get(colour_type, 1)
    total = 0
    for x_start, y_start, x_step, y_step in ADAM7 if interlace else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x_start) // x_step), -(-(height - y_start) // y_step)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total
