"""Check of image files against the SHA-256 lists that NIST delivers with them.

A list is a file checksum*.csv in an image folder or up to three folders above it (SD300's lists lie
beside `png`), but not above the data roots. Its columns are sha256 or checksum, and filename or
name, depending on the release.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.sources.listing import FORMATS
from shards.foundation import files
from shards.foundation.progress import Progress

HASH_COLUMNS, NAME_COLUMNS = ("sha256", "checksum"), ("filename", "name")
_LIST = re.compile(r"checksum.*\.csv", re.I)


@dataclass(frozen=True)
class ChecksumParameters:
    """Where lists are searched."""

    levels: int = 3  # folders above an image folder; SD300's lists lie two above, SD302's one


DEFAULT = ChecksumParameters()


class Row(NamedTuple):
    """One row of a list: a file name and its SHA-256 (hexadecimal)."""

    name: str
    sha256: str


@dataclass
class ChecksumReport:
    """Result of the check.

    Attributes:
        lists: number of lists.
        matched: number of files with the listed SHA-256.
        unlisted: number of files that are in no list.
        faults: a line per damaged list, missing file and differing file.
    """

    lists: int = 0
    matched: int = 0
    unlisted: int = 0
    faults: list[str] = field(default_factory=list)


Table = dict[str, Row]  # file name in lower case → row, because file systems differ in case


def verify_checksums(
    folders: Sequence[Path], roots: Sequence[Path], parameters: ChecksumParameters = DEFAULT
) -> ChecksumReport:
    """Check every image file in these folders, and that every listed file exists.

    Args:
        folders: folders of images.
        roots: data roots; lists above them are of other data.
        parameters: where lists are searched.
    """
    report = ChecksumReport()
    absolute_roots = [_absolute(root) for root in roots]
    places = {folder: _places(folder, absolute_roots, parameters) for folder in folders}
    searched = sorted(set(chain.from_iterable(places.values())))
    tables = {place: _read_tables(place, report) for place in searched}
    paths = [path for folder in folders for path in _image_files(folder)]
    with Progress("checksums", len(paths), "files") as progress:
        for path in paths:
            nearest_first = [tables[place] for place in places[path.parent]]
            _check(path, _find_sha256(path, nearest_first), report)
            progress.advance()
    present = {path.name.casefold() for path in paths}
    for place, table in tables.items():
        missing = sorted(row.name for name, row in table.items() if name not in present)
        report.faults += [f"{place / name}: is listed and not there" for name in missing]
    return report


def _places(folder: Path, roots: Sequence[Path], parameters: ChecksumParameters) -> list[Path]:
    """Return the folders that may hold lists of a folder's files, the nearest first."""
    above = folder.parents[: parameters.levels]
    return [folder, *(p for p in above if any(map(_absolute(p).is_relative_to, roots)))]


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow links)


def _find_sha256(path: Path, tables: Sequence[Table]) -> str | None:
    """Return the SHA-256 of a file in the first list that has it; None where none has."""
    name = path.name.casefold()
    return next((table[name].sha256 for table in tables if name in table), None)


def _image_files(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in FORMATS and not path.name.startswith(".")
    ]


def _read_tables(folder: Path, report: ChecksumReport) -> Table:
    """Read all lists in one folder."""
    table: Table = {}
    for path in _find_lists(folder):
        report.lists += 1
        table.update({row.name.casefold(): row for row in _read_list(path, report.faults)})
    return table


def _find_lists(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _LIST.fullmatch(path.name))


def _read_list(path: Path, faults: list[str]) -> list[Row]:
    """Read the rows of a list; report a damaged list and damaged rows in `faults`."""
    try:
        text = files.read_bytes(path).decode("utf-8-sig", "replace")
        lines = csv.reader(io.StringIO(text, newline=""))
        header, *rows = [[cell.strip() for cell in row] for row in lines if row]
    except (OSError, ValueError, csv.Error) as error:
        faults.append(f"{path}: is not a list of checksums ({error})")
        return []
    hash_column = _find_column(header, HASH_COLUMNS)
    name_column = _find_column(header, NAME_COLUMNS)
    if hash_column is None or name_column is None:
        columns = ", ".join(header)
        faults.append(
            f"{path}: expected columns sha256 or checksum, filename or name; has {columns}"
        )
        return []
    last = max(hash_column, name_column)
    faults += [f"{path}: row {k} is cut off" for k, row in enumerate(rows, 2) if len(row) <= last]
    return [
        Row(PurePosixPath(row[name_column]).name, row[hash_column].lower())
        for row in rows
        if len(row) > last
    ]


def _find_column(header: Sequence[str], names: Sequence[str]) -> int | None:
    """Return the number of the column with the first of these names; case does not matter."""
    columns = {name.lower(): k for k, name in enumerate(header)}
    return next((columns[name] for name in names if name in columns), None)


def _check(path: Path, listed: str | None, report: ChecksumReport) -> None:
    """Compare a file with its listed SHA-256."""
    if listed is None:
        report.unlisted += 1
        return
    try:
        actual = files.sha256(path)
    except OSError as error:
        report.faults.append(f"{path}: cannot be read ({error.strerror})")
        return
    if actual == listed:
        report.matched += 1
    else:
        report.faults.append(
            f"{path}: differs from the publisher's file: sha256 {actual}, listed {listed}"
        )
