"""Anyone's own images: a folder whose names follow a pattern, or a list of files, as folder/NAME.

The pattern is described in `pipeline.sources.pattern`, the list in `pipeline.sources.image_list`,
and how both become impressions in `pipeline.sources.identity`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.imaging import resolution
from pipeline.imaging.file import parse_raw_size
from pipeline.sources import fvc, identity, image_list, published
from pipeline.sources.folders import walk
from pipeline.sources.identity import Entry
from pipeline.sources.listing import (
    ACCOMPANYING,
    Excluded,
    FileNote,
    Listing,
    check_extension,
)
from pipeline.sources.pattern import UNLABELLED, Pattern, compile_pattern
from shards.foundation.errors import Fault, Misuse

DATA_SET = "folder"
PREFIX = f"{DATA_SET}/"  # of the partitions
RECOGNIZED = (*published.DATA_SETS, "sd300", "sd301a", "sd302", "synthetic")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)  # fits into the name of a shard


@dataclass(frozen=True)
class OwnImages:
    """Where anyone's own images are and how they are identified; one of the sources is given.

    Attributes:
        partition: "folder/NAME".
        pattern: of the images' paths below the data roots.
        list: file that lists the images.
        ppi: resolution of images that state none themselves, in place of the one in their headers.
        raw_size: (width, height) in px of the files without header.
    """

    partition: str
    pattern: Pattern | None = None
    list: Path | None = None
    ppi: float | None = None
    raw_size: tuple[int, int] | None = None

    @property
    def description(self) -> str:
        """The source in words."""
        source = f"pattern {self.pattern.text}" if self.pattern else f"list {self.list}"
        return source + (f", --ppi {self.ppi:g}" if self.ppi is not None else "")


@dataclass(frozen=True)
class StatedLayout:
    """What a user states about the layout of the files.

    Attributes:
        own_images: anyone's own images.
        fvc_year: year of the folders of FVC whose path states none.
    """

    own_images: OwnImages | None = None
    fvc_year: int | None = None

    @property
    def partitions(self) -> tuple[str, ...]:
        """The partition of anyone's own images; none without them."""
        return (self.own_images.partition,) if self.own_images else ()


NOTHING_STATED = StatedLayout()


def parse_options(
    layout: str | None,
    list_file: Path | None,
    name: str | None,
    ppi: float | None,
    raw: str | None = None,
    partitions: Sequence[str] = (),
) -> StatedLayout:
    """Check the options --layout, --list, --name, --ppi and --raw.

    Args:
        layout: a pattern, or a competition such as "fvc2004".
        list_file: a list of images.
        name: NAME of the partition; by default that of the one partition folder/NAME.
        ppi: resolution.
        raw: "WIDTHxHEIGHT" of files without header.
        partitions: names of the option --partition.

    Raises:
        Misuse: the options contradict each other, or one is not valid.
    """
    if layout is not None and list_file is not None:
        raise Misuse("expected one of --layout and --list: names are read, or a list is")
    year = fvc.NAMES.get(layout.lower()) if layout else None
    if year or (layout is None and list_file is None):
        if (name, ppi, raw) != (None, None, None):
            raise Misuse(
                "--name, --ppi and --raw go with a pattern (--layout) or --list; docs/OWN_DATA.md"
            )
        return StatedLayout(fvc_year=year)
    if layout and layout.lower() in RECOGNIZED:
        raise Misuse(f"--layout {layout}: is recognized by its folders and names; leave it out")
    pattern = compile_pattern(layout) if layout is not None else None
    partition = _partition(name, partitions)
    if ppi is not None and pattern and "ppi" in pattern.fields and not pattern.is_expression:
        raise Misuse("--ppi and {ppi}: the names state each resolution; leave out --ppi")
    if ppi is not None and not resolution.DEFAULT.accepts(ppi):
        raise Misuse(f"--ppi {ppi:g}: {resolution.DEFAULT.expected}")
    raw_size = parse_raw_size(raw) if raw is not None else None
    return StatedLayout(OwnImages(partition, pattern, list_file, ppi, raw_size))


def refuse_partitions(partitions: Sequence[str]) -> None:
    """Raise Misuse where partitions are anyone's own, whose layout was not stated."""
    for partition in partitions:
        if partition.startswith(PREFIX):
            raise Misuse(
                f"{partition}: needs --layout PATTERN or --list FILE (make: LAYOUT=…, LIST=…), as "
                "when it was built; docs/OWN_DATA.md"
            )


def _partition(name: str | None, partitions: Sequence[str]) -> str:
    """Return the partition of --name, or else the one of --partition."""
    if name is None and len(partitions) == 1 and partitions[0].startswith(PREFIX):
        name = partitions[0].removeprefix(PREFIX)
    if name is None:
        raise Misuse(
            "--layout and --list need --name NAME (make: NAME=…): the partition is folder/NAME"
        )
    if not NAME.fullmatch(name):
        raise Misuse(
            f"--name {name!r}: expected up to 100 letters, digits, dots, dashes and underscores"
        )
    others = [partition for partition in partitions if partition != PREFIX + name]
    if others:
        raise Misuse(
            f"--partition {', '.join(others)}: with --layout or --list there is only "
            f"{PREFIX}{name}; build others by another command into the same --out"
        )
    return PREFIX + name


def list_images(own: OwnImages, roots: Sequence[Path]) -> Listing:
    """List anyone's own images.

    Args:
        own: where they are.
        roots: data roots, which a pattern is relative to.

    Raises:
        Misuse: a root is not a folder, or the list is not a list of images.
        Fault: there are no images, or folders cannot be read.
    """
    other = Listing()
    entries = list(_list_entries(own, roots, other))
    if not entries and not other.unparsed:
        places = ", ".join(map(str, roots)) or "no folder; name one with --data (make: DATA=…)"
        raise Fault(f"{own.partition}: no image files; looked in {places}")
    listing = identity.identify(entries, own.partition, own.ppi, own.raw_size)
    listing.excluded += other.excluded
    listing.unparsed += other.unparsed
    listing.folders = sorted({entry.path.parent for entry in entries} | set(roots))
    return listing


def _list_entries(own: OwnImages, roots: Sequence[Path], other: Listing) -> Iterator[Entry]:
    """Yield the images; note files that are none, or not understood, in `other`."""
    raw = own.raw_size is not None
    if own.list is not None:
        for entry, fault in image_list.read(own.list, raw):
            if fault is None:
                yield entry
            else:
                reason = f"{entry.where}: {fault}"
                other.unparsed.append(FileNote(entry.path, own.partition, reason))
    elif own.pattern is not None:
        for path, name in _walk(roots):
            result = check_extension(path.name, raw) or own.pattern.parse(name)
            if isinstance(result, dict):
                yield Entry(path, name, name, result, own.pattern.text != UNLABELLED)
            elif isinstance(result, Excluded):
                other.excluded.append(FileNote(path, own.partition, result.reason))
            else:
                reason = result if isinstance(result, str) else result.reason
                other.unparsed.append(FileNote(path, own.partition, reason))


def _walk(roots: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield each file below the roots once, and its path relative to its root."""
    listed: set[Path] = set()
    for root in roots:
        for folder in walk([root]):
            if folder.path in listed:
                continue
            listed.add(folder.path)
            relative = os.path.relpath(folder.path, os.path.abspath(root))  # noqa: PTH100
            for name in folder.files:
                if not ACCOMPANYING.fullmatch(name):
                    path = folder.path / name
                    yield path, name if relative == "." else f"{relative}/{name}"
