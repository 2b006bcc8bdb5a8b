"""Parse the directories of TIFF and BigTIFF files (TIFF 6.0, section 2; tags: section 8)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.imaging.formats.common import (
    CENTIMETRES_PER_INCH,
    DamagedFile,
    Resolution,
    UnknownResolution,
    unpack,
)

NEW_SUBFILE_TYPE, IMAGE_WIDTH, IMAGE_LENGTH = 254, 256, 257
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
ORIENTATION = 274
SHORT, RATIONAL, UNDEFINED = 3, 5, 7  # field types
FIELD_FORMATS = {1: "B", SHORT: "H", 4: "I", 13: "I", 16: "Q"}  # integer types → struct's letters
FIELD_BYTES = {1: 1, 2: 1, SHORT: 2, 4: 4, RATIONAL: 8, UNDEFINED: 1, 13: 4, 16: 8}
UNITS = {2: (1.0, "px per inch"), 3: (CENTIMETRES_PER_INCH, "px per cm")}  # of ResolutionUnit

MAX_PAGES = 1000
MAX_VALUES = 1 << 20  # per tag; 8192 rows of an image in tiles of 16×16 px have 2**18


@dataclass(frozen=True)
class DirectoryLayout:
    """Binary layout of a file: its byte order, and the width of counts and offsets.

    Attributes:
        byte_order: "<" or ">", as in struct.
        number_of_entries, entry, offset: struct's layouts; an entry is tag, type, count, value.
        value_bytes: bytes of an entry's value, or of its offset.
    """

    byte_order: str
    number_of_entries: str
    entry: str
    offset: str
    value_bytes: int


def _layout(byte_order: str, is_big: bool) -> DirectoryLayout:
    letters, value_bytes = ("QHHQ8sQ", 8) if is_big else ("HHHI4sI", 4)
    return DirectoryLayout(
        byte_order,
        byte_order + letters[0],
        byte_order + letters[1:-1],
        byte_order + letters[-1],
        value_bytes,
    )


@dataclass(frozen=True)
class TiffDirectory:
    """The directory of one page.

    Attributes:
        file: the file.
        layout: its binary layout.
        entries: tag → (field type, number of values, the values or their offset).
        next_offset: offset of the next page's directory; 0 for the last.
    """

    file: BinaryIO
    layout: DirectoryLayout
    entries: dict[int, tuple[int, int, bytes]]
    next_offset: int

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the integers of a tag; DamagedFile where it is missing or not of integers."""
        if tag not in self.entries:
            raise DamagedFile(f"the TIFF has no tag {tag}")
        kind, count, value = self.entries[tag]
        if kind not in FIELD_FORMATS or not 1 <= count <= MAX_VALUES:
            raise DamagedFile(f"the TIFF's tag {tag} has values of type {kind}, {count} of them")
        content = self._content(kind, count, value)
        return struct.unpack(f"{self.layout.byte_order}{count}{FIELD_FORMATS[kind]}", content)

    def number(self, tag: int, default: int | None = None) -> int:
        """Return the first integer of a tag, or else `default`; see `numbers`."""
        if default is not None and tag not in self.entries:
            return default
        return self.numbers(tag)[0]

    def rational(self, tag: int) -> float:
        """Return the first RATIONAL of a tag; DamagedFile without the tag or for x / 0."""
        kind, count, value = self.entries.get(tag, (0, 0, b""))
        if kind != RATIONAL or count != 1:
            raise DamagedFile(f"the TIFF has no tag {tag} of one rational number")
        content = self._content(kind, count, value)
        numerator, denominator = struct.unpack(self.layout.byte_order + "II", content)
        if not denominator:
            raise DamagedFile(f"the TIFF's tag {tag} divides by 0")
        return float(numerator / denominator)

    def undefined(self, tag: int) -> bytes:
        """Return the bytes of a tag of type UNDEFINED; DamagedFile where it is none."""
        kind, count, value = self.entries.get(tag, (0, 0, b""))
        if kind != UNDEFINED or count > MAX_VALUES:
            raise DamagedFile(f"the TIFF has no tag {tag} of bytes")
        return self._content(kind, count, value)

    def _content(self, kind: int, count: int, value: bytes) -> bytes:
        """Return the bytes of a tag's values; struct.error where the file ends before them."""
        length = FIELD_BYTES[kind] * count
        if length <= self.layout.value_bytes:
            return value[:length]
        _seek(self.file, struct.unpack(self.layout.offset, value)[0])
        content = self.file.read(length)
        if len(content) < length:
            raise struct.error
        return content

    @property
    def orientation(self) -> int:
        """The number 1 to 8 of the tag Orientation; 1 without it or with another value."""
        number = self.number(ORIENTATION, 1)
        return number if 1 <= number <= 8 else 1

    @property
    def resolution(self) -> Resolution:
        """Of XResolution, YResolution and ResolutionUnit, which is the inch where it is absent."""
        unit = self.number(RESOLUTION_UNIT, 2)
        if unit not in UNITS or X_RESOLUTION not in self.entries:
            raise UnknownResolution("its resolution is unknown: the TIFF states none with a unit")
        factor, name = UNITS[unit]
        x, y = self.rational(X_RESOLUTION), self.rational(Y_RESOLUTION)
        return Resolution(x * factor, y * factor, f"TIFF XResolution, {name}")

    @property
    def is_reduced(self) -> bool:
        """Whether the page is a thumbnail of another page (bit 0 of NewSubfileType)."""
        return bool(self.number(NEW_SUBFILE_TYPE, 0) & 1)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self.number(IMAGE_WIDTH), self.number(IMAGE_LENGTH)


def first_directory(file: BinaryIO) -> TiffDirectory:
    """Return the directory of the first page; raises as `directories`, and where there is none."""
    directory = next(directories(file), None)
    if directory is None:
        raise DamagedFile("the TIFF has no page")
    return directory


def directories(file: BinaryIO) -> Iterator[TiffDirectory]:
    """Yield the directory of every page.

    Raises:
        DamagedFile: the file is no TIFF, or its pages form a loop.
        struct.error: the file is too short.
    """
    layout, offset = _read_head(file)
    visited: set[int] = set()
    while offset:
        if offset in visited or len(visited) == MAX_PAGES:
            raise DamagedFile(f"the TIFF's pages form a loop, or are over {MAX_PAGES}")
        visited.add(offset)
        directory = _read_directory(file, layout, offset)
        yield directory
        offset = directory.next_offset


def _read_head(file: BinaryIO) -> tuple[DirectoryLayout, int]:
    """Return the layout, and the offset of the first directory."""
    file.seek(0)
    head = file.read(4)
    byte_order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = struct.unpack(f"{byte_order or '<'}H", head[2:4])[0]
    if byte_order is None or version not in (42, 43):
        raise DamagedFile("its directory is no TIFF directory")
    layout = _layout(byte_order, is_big=version == 43)
    if version == 43 and unpack(file, byte_order + "HH") != (8, 0):
        raise DamagedFile("the BigTIFF states offsets of other than 8 bytes")
    return layout, unpack(file, layout.offset)[0]


def _seek(file: BinaryIO, offset: int) -> None:
    """Go to an offset; DamagedFile where no file is so long, as the offsets of a BigTIFF can be."""
    try:
        file.seek(offset)
    except (OSError, OverflowError, ValueError) as error:
        raise DamagedFile(f"the TIFF states an offset of {offset:,} bytes") from error


def _read_directory(file: BinaryIO, layout: DirectoryLayout, offset: int) -> TiffDirectory:
    _seek(file, offset)
    (count,) = unpack(file, layout.number_of_entries)
    if count > MAX_VALUES:
        raise DamagedFile(f"the TIFF's directory states {count} entries")
    entries = {}
    for _ in range(count):
        tag, kind, number, value = unpack(file, layout.entry)
        entries[tag] = kind, number, value
    # Some writers leave out the offset of the next page after the last one.
    last = file.read(struct.calcsize(layout.offset)).ljust(struct.calcsize(layout.offset), b"\0")
    return TiffDirectory(file, layout, entries, struct.unpack(layout.offset, last)[0])
