"""Read PGM and PPM files (Netpbm: pgm(5), ppm(5)), which state no resolution."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.formats.common import DamagedFile, Decoded, Size, UnknownResolution

SIGNATURES = (b"P2", b"P3", b"P5", b"P6")
TEXT, COLOUR = b"23", b"36"  # kinds whose samples are decimal numbers, or three per px
GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
NUMBER = rb"(\d{1,9})"
HEADER = re.compile(rb"P([2356])" + 3 * (GAP + NUMBER) + rb"\s")
HEADER_BYTES = 1 << 16
NEXT_IMAGE = re.compile(rb"\s*P[1-7]\s")


@dataclass(frozen=True)
class Header:
    """Header of an image: `kind` is the digit after P, `end` the offset of the first sample."""

    kind: bytes
    width: int
    height: int
    maximum: int
    end: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the pixels."""
        return (self.height, self.width, 3) if self.kind in COLOUR else (self.height, self.width)


def size(file: BinaryIO) -> Size:
    """Return the (width, height) in px."""
    file.seek(0)
    header = _header(file.read(HEADER_BYTES))
    return header.width, header.height


def resolution(file: BinaryIO) -> NoReturn:
    """Raise UnknownResolution."""
    raise UnknownResolution("its resolution is unknown: a PGM cannot state one")


def decode(data: bytes) -> Decoded:
    """Decode a PGM; 8-bit grey is scaled by the maximum that the file states."""
    header = _header(data)
    notes: tuple[str, ...] = ()
    if header.kind in TEXT:
        pixels = _text_samples(data[header.end :], header)
    else:
        pixels, notes = _binary_samples(data, header)
    largest, maximum = int(pixels.max()), header.maximum
    if largest > maximum:
        raise DamagedFile(f"has a sample of {largest}, and states a maximum of {maximum}")
    if maximum > 255:
        return Decoded(pixels.astype(np.uint16), maximum, notes=notes)
    if maximum < 255:
        pixels = np.round(pixels * (255 / maximum))
        notes += (f"grey scaled by its range of 0 to {maximum}",)
    return Decoded(pixels.astype(np.uint8), notes=notes)


def _header(data: bytes) -> Header:
    match = HEADER.match(data[:HEADER_BYTES])
    if match is None:
        raise DamagedFile("the header of the PGM is damaged")
    width, height, maximum = map(int, match.groups()[1:])
    if not 1 <= maximum <= 65535:
        raise DamagedFile(f"the PGM states a maximum of {maximum}; expected 1 to 65535")
    return Header(match[1], width, height, maximum, match.end())


def _text_samples(text: bytes, header: Header) -> NDArray[Any]:
    samples = re.sub(rb"#[^\r\n]*", b"", text).split()
    expected = int(np.prod(header.shape))
    if len(samples) != expected:
        raise DamagedFile(f"has {len(samples)} samples; expected {expected}")
    if not all(sample.isdigit() and len(sample) < 10 for sample in samples):
        raise DamagedFile("has samples that are no numbers")
    return np.array(samples, np.bytes_).astype(np.int64).reshape(header.shape)


def _binary_samples(data: bytes, header: Header) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return the samples, and a note where other images follow them in the file."""
    dtype = np.dtype(np.uint8 if header.maximum < 256 else ">u2")
    expected = int(np.prod(header.shape)) * dtype.itemsize
    start, rest = header.end, len(data) - header.end
    if rest == expected + 1 and data[start - 1 : start + 1] == b"\r\n":  # a line end of Windows
        start, rest = start + 1, expected
    if rest < expected:
        raise DamagedFile(f"is truncated: has {rest} bytes of pixels; expected {expected}")
    after = data[start + expected :]
    is_followed = NEXT_IMAGE.match(after) is not None
    if after.strip() and not is_followed:
        raise DamagedFile(f"has {rest} bytes of pixels; expected {expected}")
    pixels = np.frombuffer(data, dtype, expected // dtype.itemsize, start).reshape(header.shape)
    return pixels, ("the first of several images in the file",) * is_followed
