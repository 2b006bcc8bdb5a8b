"""Check the strips or tiles of a TIFF page: each must unfold to its full length.

Compressions: TIFF 6.0, sections 9 (PackBits), 13 (LZW) and 22 (JPEG); Adobe Photoshop TIFF
Technical Notes, 2002 (Deflate, and JPEG as compression 7).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.formats import tiff_lzw
from pipeline.imaging.formats.common import DamagedFile, UnsupportedFile
from pipeline.imaging.formats.jpeg import decode_strictly
from pipeline.imaging.formats.tiff_directory import TiffDirectory

BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES_PER_PIXEL, ROWS_PER_STRIP, STRIP_BYTES = 273, 277, 278, 279
PLANAR_CONFIGURATION, PREDICTOR, SAMPLE_FORMAT, JPEG_TABLES = 284, 317, 339, 347
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325

UNCOMPRESSED, LZW, JPEG, DEFLATE, PACKBITS, OLD_DEFLATE = 1, 5, 7, 8, 32773, 32946
COMPRESSIONS = (UNCOMPRESSED, LZW, JPEG, DEFLATE, PACKBITS, OLD_DEFLATE)
OTHER_COMPRESSIONS = {  # TIFF 6.0, sections 10 and 11; tiff.h of libtiff
    2: "CCITT", 3: "CCITT fax", 4: "CCITT fax", 6: "JPEG of the old kind", 33003: "JPEG 2000",
    33005: "JPEG 2000", 34712: "JPEG 2000", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP",
}  # fmt: skip
# Unfolded, of one strip or tile: the largest image, of 8192×8192 px, 16 bits and four channels.
MAX_SEGMENT_BYTES = 8192 * 8192 * 2 * 4
WHITE_IS_ZERO, BLACK_IS_ZERO = 0, 1  # values of PhotometricInterpretation


@dataclass(frozen=True)
class Segments:
    """The strips or tiles of a page.

    Attributes:
        offsets, byte_counts: of the compressed data in the file.
        unfolded_bytes: length of each after decoding.
    """

    offsets: tuple[int, ...]
    byte_counts: tuple[int, ...]
    unfolded_bytes: tuple[int, ...]

    def contents(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield (compressed data, unfolded length) of each; DamagedFile outside of the file."""
        for offset, count, unfolded in zip(
            self.offsets, self.byte_counts, self.unfolded_bytes, strict=True
        ):
            if offset + count > len(data):
                raise DamagedFile("is truncated: its pixels end after the end of the file")
            yield data[offset : offset + count], unfolded

    def check_overlap(self, uncompressed: bool) -> None:
        """Raise DamagedFile where two strips or tiles share bytes, or one is in the file's header.

        Args:
            uncompressed: bytes after the unfolded length of each are not used.
        """
        end, header_bytes = 0, 8
        for offset, count, unfolded in sorted(
            zip(self.offsets, self.byte_counts, self.unfolded_bytes, strict=True)
        ):
            if offset < max(end, header_bytes):
                raise DamagedFile("the TIFF's strips or tiles overlap")
            end = offset + (min(count, unfolded) if uncompressed else count)


def check_segments(page: TiffDirectory, data: bytes) -> None:
    """Check that every strip or tile of a page unfolds to its full length.

    Args:
        page: the page.
        data: the file.

    Raises:
        DamagedFile: a strip or tile is damaged or too short.
        UnsupportedFile: the page is of a kind that is not read.
    """
    compression = page.number(COMPRESSION, UNCOMPRESSED)
    _check_kind(page, compression)
    segments = _segments(page)
    segments.check_overlap(compression == UNCOMPRESSED)
    for number, (content, unfolded) in enumerate(segments.contents(data)):
        reason = _find_damage(page, compression, content, unfolded)
        if reason:
            part = f"strip or tile {number + 1} of {len(segments.offsets)}"
            raise DamagedFile(f"{part} {reason}")


def is_plain(page: TiffDirectory) -> bool:
    """Return whether a page is of uncompressed strips of 8-bit grey, as in most TIFFs of prints."""
    kind = (
        page.number(COMPRESSION, UNCOMPRESSED),
        page.number(BITS_PER_SAMPLE, 1),
        page.number(SAMPLES_PER_PIXEL, 1),
        page.number(PHOTOMETRIC),
    )
    return kind == (UNCOMPRESSED, 8, 1, BLACK_IS_ZERO) and TILE_OFFSETS not in page.entries


def plain_pixels(page: TiffDirectory, data: bytes) -> NDArray[np.uint8]:
    """Return the pixels uint8 [H, W] of a checked page that `is_plain`; they need no library."""
    width, height = page.size
    strips = b"".join(content[:length] for content, length in _segments(page).contents(data))
    return np.frombuffer(strips, np.uint8).reshape(height, width)


def _check_kind(page: TiffDirectory, compression: int) -> None:
    """Raise UnsupportedFile for kinds of pages that are not known to decode rightly."""
    cure = "convert it to PNG or to an uncompressed TIFF"
    if compression not in COMPRESSIONS:
        name = OTHER_COMPRESSIONS.get(compression, "unknown")
        raise UnsupportedFile(f"is a TIFF of compression {compression} ({name}); {cure}")
    bits = set(page.numbers(BITS_PER_SAMPLE)) if BITS_PER_SAMPLE in page.entries else {1}
    if bits not in ({1}, {8}, {16}):
        raise UnsupportedFile(f"is a TIFF of {sorted(bits)} bits per sample; {cure}")
    if page.number(SAMPLE_FORMAT, 1) != 1:
        raise UnsupportedFile(f"is a TIFF of signed or floating-point samples; {cure}")
    if page.number(PHOTOMETRIC, WHITE_IS_ZERO) == WHITE_IS_ZERO and (
        PHOTOMETRIC not in page.entries or bits == {16}
    ):
        raise UnsupportedFile(f"is a TIFF that does not state black as 0; {cure}")
    if page.number(PLANAR_CONFIGURATION, 1) != 1 and page.number(SAMPLES_PER_PIXEL, 1) > 1:
        raise UnsupportedFile(f"is a TIFF that stores its channels apart; {cure}")
    if bits == {16} and page.number(SAMPLES_PER_PIXEL, 1) > 1:  # Pillow keeps 8 bits of each
        raise UnsupportedFile("is a TIFF of several channels of 16 bits; convert it to grey")
    if page.number(PREDICTOR, 1) not in (1, 2) or page.number(FILL_ORDER, 1) != 1:
        raise UnsupportedFile(f"is a TIFF with an unusual predictor or order of bits; {cure}")


def _segments(page: TiffDirectory) -> Segments:
    """Return the strips or tiles of a page; DamagedFile where their number or size is wrong."""
    bits = page.number(BITS_PER_SAMPLE, 1) * page.number(SAMPLES_PER_PIXEL, 1)
    if TILE_OFFSETS in page.entries:
        offsets, byte_counts = page.numbers(TILE_OFFSETS), page.numbers(TILE_BYTES)
        unfolded = _tile_bytes(page, bits)
    else:
        offsets, byte_counts = page.numbers(STRIP_OFFSETS), page.numbers(STRIP_BYTES)
        unfolded = _strip_bytes(page, bits)
    needed = sum(count for count, _ in unfolded)
    if not len(offsets) == len(byte_counts) == needed:
        raise DamagedFile(f"the TIFF lists {len(offsets)} strips or tiles; its size needs {needed}")
    if max(length for _, length in unfolded) > MAX_SEGMENT_BYTES:
        raise DamagedFile(f"the TIFF states strips or tiles of over {MAX_SEGMENT_BYTES:,} bytes")
    lengths = chain.from_iterable(repeat(length, count) for count, length in unfolded)
    return Segments(offsets, byte_counts, tuple(lengths))


def _tile_bytes(page: TiffDirectory, bits: int) -> list[tuple[int, int]]:
    """Return (number of tiles, unfolded length of each) of a page with `bits` per px."""
    width, height = page.size
    tile_width, tile_height = page.number(TILE_WIDTH), page.number(TILE_LENGTH)
    if not (tile_width and tile_height):
        raise DamagedFile("the TIFF states tiles of no size")
    count = -(-width // tile_width) * -(-height // tile_height)
    return [(count, tile_height * _row_bytes(tile_width, bits))]


def _strip_bytes(page: TiffDirectory, bits: int) -> list[tuple[int, int]]:
    """Return (number of strips, unfolded length of each) of a page, the last one apart."""
    width, height = page.size
    rows = min(page.number(ROWS_PER_STRIP, height), height)
    if not rows:
        raise DamagedFile("the TIFF states strips of no rows")
    before = (height - 1) // rows  # strips before the last one, which may have fewer rows
    row_bytes = _row_bytes(width, bits)
    return [(before, rows * row_bytes), (1, (height - before * rows) * row_bytes)]


def _row_bytes(width: int, bits: int) -> int:
    """Return the bytes of a row of px, which begins at a whole byte."""
    return (width * bits + 7) // 8


def _find_damage(
    page: TiffDirectory, compression: int, content: bytes, unfolded: int
) -> str | None:
    """Return what is wrong with a strip or tile; None where it has its full length."""
    if compression == UNCOMPRESSED:
        complete = len(content) >= unfolded
        return None if complete else f"has {len(content)} bytes; expected {unfolded}"
    if compression in (DEFLATE, OLD_DEFLATE):
        return _find_deflate_damage(content, unfolded)
    if compression == PACKBITS:
        length = _packbits_length(content)
        return None if length == unfolded else f"unfolds to {length} bytes; expected {unfolded}"
    if compression == LZW:
        length = tiff_lzw.unfolded_length(content)
        if length < 0:
            return "is damaged LZW data, or without its end code"
        return None if length == unfolded else f"unfolds to {length} bytes; expected {unfolded}"
    length = decode_strictly(_with_jpeg_tables(page, content)).size
    return None if length >= unfolded else f"unfolds to {length} bytes; expected {unfolded}"


def _find_deflate_damage(content: bytes, unfolded: int) -> str | None:
    """Unfold Deflate data with its checksum."""
    decoder = zlib.decompressobj()
    try:
        length = len(decoder.decompress(content, unfolded + 1))
    except zlib.error as error:
        return f"is damaged Deflate data ({error})"
    if length != unfolded or not decoder.eof:
        return f"unfolds to {length} bytes; expected {unfolded} and the end of the Deflate data"
    return None


def _packbits_length(content: bytes) -> int:
    """Return the length to which PackBits data unfolds; -1 where a run is cut off."""
    position = length = 0
    while position < len(content):
        code = content[position]
        if code < 128:  # code + 1 literal bytes
            position += code + 2
            length += code + 1
        elif code > 128:  # one byte, repeated
            position += 2
            length += 257 - code
        else:
            position += 1
    return length if position == len(content) else -1


def _with_jpeg_tables(page: TiffDirectory, content: bytes) -> bytes:
    """Return the JPEG stream of a strip or tile with the tables that all of them share."""
    if JPEG_TABLES not in page.entries:
        return content
    start_of_image, end_of_image = 2, 2  # bytes of the markers around the tables
    return page.undefined(JPEG_TABLES)[:-end_of_image] + content[start_of_image:]
