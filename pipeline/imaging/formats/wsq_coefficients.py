"""Count the coefficients in a WSQ (FBI, IAFIS-IC-0110), which has no checksum.

The decoder fills in what damaged data lacks. The number of coefficients follows from the Huffman
codes alone, and must be that of the subbands which the file states to be coded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.formats.common import DamagedFile, Size

START_OF_FRAME, START_OF_BLOCK = 0xFFA2, 0xFFA3
QUANTIZATION, HUFFMAN, END_OF_IMAGE = 0xFFA5, 0xFFA6, 0xFFA1

CODED_SUBBANDS = 60  # the others, 60 to 63, are never coded
CODE_BITS_MAX = 16
RUN_MAX = 100  # symbols up to it are runs of zeros of this length
ESCAPE_BITS = {101: 8, 102: 8, 103: 16, 104: 16}  # a large coefficient follows
RUN_BITS = {105: 8, 106: 16}  # the length of a run of zeros follows


@dataclass
class WsqContent:
    """The parts of a file that the number of coefficients depends on.

    Attributes:
        size: (width, height), px.
        is_coded: for each subband whether its coefficients are in the file.
        tables: number of a Huffman table → (symbols, bits of each one's code).
        blocks: (number of a table, codes) of each block.
    """

    size: Size = (0, 0)
    is_coded: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(64, bool))
    tables: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    blocks: list[tuple[int, bytes]] = field(default_factory=list)


def check_coefficients(data: bytes) -> None:
    """Raise DamagedFile where a WSQ has more or fewer coefficients than it states.

    Raises:
        struct.error: the file ends too early.
    """
    content = _parse(data)
    count = 0
    for number, codes in content.blocks:
        if number not in content.tables:
            raise DamagedFile(f"the WSQ has no Huffman table {number}")
        count += _count(codes, content.tables[number])
    expected = int(subband_areas(*content.size)[content.is_coded].sum())
    if count != expected:
        raise DamagedFile(f"the WSQ has {count} coefficients; expected {expected}")


def subband_areas(width: int, height: int) -> NDArray[np.int64]:
    """Return the number of coefficients of each of the 64 subbands (figure 5 of the standard)."""
    low, right, below, diagonal = _split(_Subband(width, height))
    levels = _split(low)
    sixteenths = [[part for half in _split(level) for part in _split(half)] for level in levels[:3]]
    subbands = [
        *_split(sixteenths[0][0]),
        *sixteenths[0][1:],
        *sixteenths[1],
        *sixteenths[2],
        levels[3],
        *_split(right),
        *_split(below),
        *_split(diagonal),
    ]
    return np.array([subband.width * subband.height for subband in subbands])


class _Subband(NamedTuple):
    """Size of a subband, and whether it is the second half of its parent along x and along y."""

    width: int
    height: int
    is_right: bool = False
    is_lower: bool = False


def _split(parent: _Subband) -> list[_Subband]:
    """Return the four parts of a subband, row by row."""
    columns = _halves(parent.width, parent.is_right)
    rows = _halves(parent.height, parent.is_lower)
    return [
        _Subband(columns[right], rows[lower], bool(right), bool(lower))
        for lower in (0, 1)
        for right in (0, 1)
    ]


def _halves(length: int, is_second: bool) -> tuple[int, int]:
    """Return the lengths of both halves; the first is the longer one, except in a second half."""
    shorter = length // 2
    return (shorter, length - shorter) if is_second else (length - shorter, shorter)


def _parse(data: bytes) -> WsqContent:
    """Return the parts of a file; struct.error where it ends too early."""
    content = WsqContent()
    for marker, body, codes in _segments(data):
        if marker == START_OF_FRAME:
            height, width = struct.unpack_from(">HH", body, 2)
            content.size = width, height
        elif marker == QUANTIZATION:
            steps = [struct.unpack_from(">H", body, 4 + 6 * k)[0] for k in range(CODED_SUBBANDS)]
            content.is_coded[:CODED_SUBBANDS] = np.array(steps) > 0
        elif marker == HUFFMAN:
            content.tables |= _parse_tables(body)
        elif marker == START_OF_BLOCK:
            content.blocks.append((struct.unpack_from("B", body)[0], codes))
    return content


def _segments(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (marker, content, codes after it) of each segment up to the end of the image."""
    offset = 2
    while True:
        (marker,) = struct.unpack_from(">H", data, offset)
        if marker == END_OF_IMAGE:
            return
        (length,) = struct.unpack_from(">H", data, offset + 2)
        body = data[offset + 4 : offset + 2 + length]
        offset += 2 + length
        codes = b""
        if marker == START_OF_BLOCK:
            end = _next_marker(data, offset)
            codes, offset = data[offset:end].replace(b"\xff\0", b"\xff"), end
        elif not 0xFFA0 < marker < 0xFFA9:
            raise DamagedFile("the WSQ has no marker where one is expected")
        yield marker, body, codes


def _next_marker(data: bytes, offset: int) -> int:
    """Return the offset of the next marker; a byte FF of the codes is followed by 0."""
    while True:
        offset = data.find(b"\xff", offset)
        if offset < 0 or offset + 1 == len(data):
            raise DamagedFile("the WSQ is truncated")
        if data[offset + 1]:
            return offset
        offset += 2


def _parse_tables(body: bytes) -> dict[int, list[tuple[int, int]]]:
    """Return number → (symbol, bits of its code), in the order of the codes, of each table."""
    tables, offset = {}, 0
    while offset < len(body):
        number, *counts = struct.unpack_from("17B", body, offset)
        symbols = struct.unpack_from(f"{sum(counts)}B", body, offset + 17)
        bits = np.repeat(np.arange(1, CODE_BITS_MAX + 1), counts).tolist()
        tables[number] = list(zip(symbols, bits, strict=True))
        offset += 17 + sum(counts)
    return tables


def _count(codes: bytes, table: list[tuple[int, int]]) -> int:
    """Return the number of coefficients of a block; its last byte is filled up with ones."""
    data = np.frombuffer(codes + b"\xff" * 6, np.uint8).astype(np.int64)
    words = data[:-3] << 24 | data[1:-2] << 16 | data[2:-1] << 8 | data[3:]
    bits = np.arange(8 * len(codes))
    windows = _windows(words, bits)
    lengths, symbols = (part[windows] for part in _lookup(table))
    amounts = np.where(symbols <= RUN_MAX, symbols, 1)
    for symbol, extra in (ESCAPE_BITS | RUN_BITS).items():
        places = np.flatnonzero(symbols == symbol)
        if symbol in RUN_BITS:
            after = np.minimum(places + lengths[places], 8 * len(codes) + 7)
            amounts[places] = _windows(words, after) >> (CODE_BITS_MAX - extra)
        lengths[places] += extra
    return _follow(lengths.tolist(), amounts.tolist())


def _windows(words: NDArray[Any], bits: NDArray[Any]) -> NDArray[Any]:
    """Return the 16 bits from each place on; `words` are the 32 bits from each byte on."""
    return words[bits >> 3] >> (16 - (bits & 7)) & 0xFFFF


def _lookup(table: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the bits of the code and the symbol for each 16 bits; 0 bits where no code fits."""
    repeats = [1 << (CODE_BITS_MAX - bits) for _, bits in table]
    rest = (1 << CODE_BITS_MAX) - sum(repeats)
    if rest < 0:
        raise DamagedFile("the WSQ has a damaged Huffman table")
    symbols, bits = np.array([*table, (0, 0)]).T
    return np.repeat(bits, [*repeats, rest]), np.repeat(symbols, [*repeats, rest])


def _follow(lengths: list[int], amounts: list[int]) -> int:
    """Return the sum of the amounts of the codes from the first bit on."""
    place = total = 0
    end = len(lengths)
    while place < end and lengths[place]:
        total += amounts[place]
        place += lengths[place]
    if place > end or end - place > 7:  # ones that fill up the last byte are no code
        raise DamagedFile("the WSQ has an invalid Huffman code")
    return total
