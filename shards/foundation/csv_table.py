"""Read CSV tables that users write: what could be read in two ways is refused, with its place."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click

from shards.foundation import files
from shards.foundation.errors import Misuse

UTF8 = "save it as CSV in UTF-8"
OTHER_FORMATS = {  # first bytes → what such a file is
    b"\xff\xfe": "is UTF-16 text",
    b"\xfe\xff": "is UTF-16 text",
    b"PK\x03\x04": "is a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook",
    b"\x1f\x8b": "is compressed by gzip",
    b"%PDF": "is a PDF document",
}
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}  # of other kinds of tables
# In names of columns: word → the word that is used here
SYNONYMS = {"dpi": "ppi", "resolution": "ppi", "res": "ppi", "subject": "person"}


@dataclass(frozen=True)
class CsvTableParameters:
    """Limits of the reader."""

    # Similarity in [0, 1] (difflib) from which on an unknown column is taken for a misspelling of
    # a known one. Chosen: "ppi" and "pp_a" reach it beside "ppi_a", "label" and "note" nothing.
    similar_names: float = 0.75


DEFAULT = CsvTableParameters()


class CsvRow(NamedTuple):
    """One row: the line of the file where it ends, from 1, and its cells by column."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class CsvTable:
    """A table's rows, with the known columns alone.

    Attributes:
        rows: rows that are not empty, in order.
        ignored: names of the other columns.
    """

    rows: list[CsvRow]
    ignored: list[str]

    def report_ignored(self, path: Path) -> None:
        """Print a line on standard error about the other columns of the file, if there are any."""
        if self.ignored:
            click.echo(f"{path}: ignores the columns {', '.join(self.ignored)}", err=True)


def read_table(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> CsvTable:
    """Read a CSV file in UTF-8 whose first line names its columns.

    Rows of empty cells alone, as Excel leaves them, and empty columns without a name are skipped.

    Args:
        path: the file.
        required: columns that the table must have, with a value in each row.
        optional: columns that it may have.

    Raises:
        Misuse: the file cannot be read; it is of another format; it lacks a required column or
            value; a column occurs twice or resembles a known one; a row has more or fewer cells
            than columns.
    """
    lines = _read_lines(path)
    line, header = next(lines, (1, []))
    columns = _Columns(path, line, header, required, optional)
    columns.check_names()
    rows = [columns.row(line, cells) for line, cells in lines if any(map(str.strip, cells))]
    if not rows:
        raise Misuse(f"{path}: has no rows below its columns {','.join(header)}")
    return CsvTable(rows, columns.ignored)


@dataclass(frozen=True)
class _Columns:
    """The columns of a table: the file, the line of the header, its cells, the known names."""

    path: Path
    line: int
    header: list[str]
    required: Sequence[str]
    optional: Sequence[str]

    @property
    def known(self) -> list[str]:
        return [*self.required, *self.optional]

    @property
    def ignored(self) -> list[str]:
        return [name for name in self.header if name and name not in self.known]

    def check_names(self) -> None:
        """Raise Misuse where a name occurs twice, resembles a known one, or is missing."""
        for number, name in enumerate(self.header, 1):
            first = self.header.index(name) + 1
            if name and first < number:
                raise self._misuse(f"columns {first} and {number} are both {name!r}; remove one")
            meant = resembles(name, self.known)
            if meant:
                what = f"column {number} is {name!r}; if it is meant for {meant!r}, name it so"
                raise self._misuse(f"{what}, else rename it")
        if not set(self.required) <= set(self.header):
            raise self._misuse(f"has {self._description()}; expected {self._expected}")

    def row(self, line: int, cells: list[str]) -> CsvRow:
        """Return a row; Misuse where its cells do not fit the columns."""
        count = len(self.header)
        if len(cells) > count:
            what = f"column {count + 1} is {cells[count]!r}, but the header has {count} columns"
            raise self._misuse(f'{what}; put a cell that contains a comma into quotes ("…")', line)
        if len(cells) < count:
            what = f"has no cell for the column {self.header[len(cells)]!r}"
            raise self._misuse(f"{what}; expected {count} cells: {','.join(self.header)}", line)
        for number, (name, cell) in enumerate(zip(self.header, cells, strict=True), 1):
            if cell and not name:
                raise self._misuse(f"column {number} is {cell!r}, but its header is empty", line)
            if name in self.required and not cell.strip():
                raise self._misuse(f"column {number}, {name!r}, is empty; expected a value", line)
        by_name = dict(zip(self.header, cells, strict=True))
        return CsvRow(line, {name: by_name[name] for name in self.known if name in by_name})

    @property
    def _expected(self) -> str:
        optional = f", optionally {','.join(self.optional)}" if self.optional else ""
        return f"the columns {','.join(self.required)}{optional}"

    def _description(self) -> str:
        """Describe a header that lacks a column."""
        for separator, name in SEPARATORS.items():
            if any(separator in cell for cell in self.header):
                return f"cells separated by {name}, not by commas"
        return f"the columns {','.join(self.header)}" if self.header else "no rows"

    def _misuse(self, what: str, line: int | None = None) -> Misuse:
        return Misuse(f"{self.path}: line {line or self.line}: {what}")


def resembles(
    name: str, known: Sequence[str], parameters: CsvTableParameters = DEFAULT
) -> str | None:
    """Return the known column that an unknown name resembles; None for a known name."""
    if name in known:
        return None
    keys = {_key(column): column for column in known}
    close = difflib.get_close_matches(_key(name), keys, 1, parameters.similar_names)
    return keys[close[0]] if close else None


def _key(name: str) -> str:
    """Return a name in lower case, letters and digits alone, with synonyms replaced."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "".join(SYNONYMS.get(word, word) for word in words)


def _read_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file that are not blank, with the line where each ends."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise Misuse(f"{path}: line {reader.line_num}: is not CSV: {error}") from error


def read_text(path: Path) -> str:
    """Read a text file in UTF-8; Misuse where it is unreadable or something else, by its name."""
    try:
        data = files.read_bytes(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error  # without the path once more
        raise Misuse(f"{path}: is not a readable table: {reason}") from error
    for start, what in OTHER_FORMATS.items():
        if data.startswith(start):
            raise Misuse(f"{path}: {what}; {UTF8}")
    if data[1:2] == b"\0" or data[:1] == b"\0":
        raise Misuse(f"{path}: is UTF-16 text or binary data; {UTF8}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"the byte 0x{data[error.start]:02X}"
        raise Misuse(f"{path}: line {line}: {byte} is not UTF-8; {UTF8}") from error
