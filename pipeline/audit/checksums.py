"""The files of the deliveries against the SHA-256 lists that NIST ships beside them.

A list is a checksum*.csv in an image folder or up to three folders above it (SD300's lie beside
`png`). The columns are sha256 or checksum, and filename or name: the releases differ.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.sources.listing import FORMATS
from shards.foundation import files
from shards.foundation.progress import Progress

HASH_COLUMNS, NAME_COLUMNS = ("sha256", "checksum"), ("filename", "name")
LEVELS = 3  # folders above an image folder
_LIST = re.compile(r"checksum.*\.csv", re.I)


class Row(NamedTuple):
    """What a list says of a file."""

    name: str
    digest: str  # SHA-256, hexadecimal


@dataclass
class Checksums:
    """What the lists say; every fault is a line that names its file."""

    lists: int = 0
    matched: int = 0
    unlisted: int = 0  # files of which no list speaks
    faults: list[str] = field(default_factory=list)


def verify(folders: Sequence[Path]) -> Checksums:
    """Check every image file of these folders; those that are listed and not there are faults."""
    result = Checksums()
    places = sorted({place for folder in folders for place in (folder, *folder.parents[:LEVELS])})
    tables = {place: _tables(place, result) for place in places}
    files = [file for folder in folders for file in _images(folder)]
    with Progress("checksums", len(files), "files") as progress:
        for file in files:
            near = (tables[place] for place in (file.parent, *file.parent.parents[:LEVELS]))
            name = file.name.casefold()
            listed = next((table[name].digest for table in near if name in table), None)
            _check(file, listed, result)
            progress.advance()
    there = {file.name.casefold() for file in files}
    for place, table in tables.items():
        gone = sorted(row.name for name, row in table.items() if name not in there)
        result.faults += [f"{place / name}: is listed and not there" for name in gone]
    return result


def _images(folder: Path) -> list[Path]:
    names = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [path for path in names if path.suffix.lower() in FORMATS]


def _tables(folder: Path, result: Checksums) -> dict[str, Row]:
    """All that the lists in one folder say, by file name in one case, as file systems differ."""
    merged: dict[str, Row] = {}
    for path in _lists(folder):
        result.lists += 1
        merged.update({row.name.casefold(): row for row in _read(path, result.faults)})
    return merged


def _lists(folder: Path) -> list[Path]:
    """The lists in a folder; none where it cannot be listed, as may be above a data root."""
    try:
        return sorted(path for path in folder.iterdir() if _LIST.fullmatch(path.name))
    except PermissionError:
        return []


def _read(path: Path, faults: list[str]) -> list[Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            header, *rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    except (OSError, ValueError, csv.Error) as error:
        faults.append(f"{path}: is no list of checksums ({error})")
        return []
    columns = {name.lower(): k for k, name in enumerate(header)}
    digests = [columns[name] for name in HASH_COLUMNS if name in columns]
    names = [columns[name] for name in NAME_COLUMNS if name in columns]
    if not digests or not names:
        found = ", ".join(header)
        faults.append(f"{path}: expected columns sha256 or checksum, filename or name; has {found}")
        return []
    wanted = max(digests[0], names[0])
    short = [k for k, row in enumerate(rows, 2) if len(row) <= wanted]
    faults += [f"{path}: row {k} is cut off" for k in short]
    whole = (row for row in rows if len(row) > wanted)
    return [Row(PurePosixPath(row[names[0]]).name, row[digests[0]].lower()) for row in whole]


def _check(file: Path, listed: str | None, result: Checksums) -> None:
    if listed is None:
        result.unlisted += 1
        return
    try:
        found = files.sha256(file)
    except OSError as error:
        result.faults.append(f"{file}: cannot be read ({error.strerror})")
        return
    if found == listed:
        result.matched += 1
    else:
        result.faults.append(f"{file}: is not the publisher's: sha256 {found}, listed {listed}")
