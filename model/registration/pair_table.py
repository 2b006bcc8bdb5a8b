"""The two tables of many registrations, as CSV: of pairs, and of what was found of each."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from shards.foundation import files
from shards.foundation.errors import Misuse

LEAST_PPI, MOST_PPI = 50.0, 10000.0  # of an image file that can be registered


@dataclass(frozen=True)
class Pair:
    """A row of the table of pairs."""

    row: int  # from 0
    line: int  # of the file, from 1
    a: Path
    b: Path
    ppi_a: float | None  # None: what the file says
    ppi_b: float | None


class Score(NamedTuple):
    """A row of the table of scores, in the words in which it stands there."""

    row: int  # of the table of pairs, from 0
    a: str
    b: str
    score: str = ""  # both empty where there is a fault
    matches: str = ""  # how many
    fault: str = ""
    inputs: str = ""  # a digest of all that the answer rests on


def read_pairs(path: Path, ppi_a: float | None = None, ppi_b: float | None = None) -> list[Pair]:
    """The pairs of a CSV file with the columns a and b (image files), and maybe ppi_a and ppi_b.

    A resolution that the table leaves open is the one that is given. Misuse where there is no such
    table, or a resolution in it that is none.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, strict=True)
            rows = [(table.reader.line_num, row) for row in table]  # its own skips blank lines
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise Misuse(f"{path}: is no readable table of pairs: {error}") from error
    if not rows or not {"a", "b"} <= rows[0][1].keys():
        found = list(rows[0][1]) if rows else "no rows"
        raise Misuse(f"{path}: found {found}; expected a header a,b and a pair of images a line")
    return [
        Pair(
            k,
            line,
            Path(row["a"] or ""),
            Path(row["b"] or ""),
            _ppi(row.get("ppi_a"), ppi_a, f"{path}: line {line}: ppi_a"),
            _ppi(row.get("ppi_b"), ppi_b, f"{path}: line {line}: ppi_b"),
        )
        for k, (line, row) in enumerate(rows)
    ]


def read_scores(path: Path) -> list[Score]:
    """The rows of a table of scores, but for one that was cut off; none where there is no file.

    Misuse where the file is another one, which is not to be replaced.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
    except (OSError, csv.Error, ValueError) as error:
        raise Misuse(f"{path}: cannot be read ({error}); name another --out") from error
    if tuple(header) != Score._fields:
        raise Misuse(f"{path}: is not of this program ({header}); name another --out")
    whole = [row for row in rows if len(row) == len(header) and row[0].isdecimal()]
    return [Score(int(number), *rest) for number, *rest in whole]


def write_scores(path: Path, scores: Iterable[Score]) -> None:
    """Replace the table of scores, at once or not at all; Fault where it cannot be written."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([Score._fields, *scores])
    files.write_bytes(path, text.getvalue().encode())


def append_scores(path: Path, scores: Iterable[Score]) -> None:
    """Add rows to the table of scores; Fault where it cannot be written."""
    with files.report_write_errors(path), path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(scores)


def _ppi(text: str | None, given: float | None, where: str) -> float | None:
    if not text:
        return given
    try:
        ppi = float(text)
    except ValueError:
        ppi = math.nan
    if not LEAST_PPI <= ppi <= MOST_PPI:
        expected = f"{LEAST_PPI:g} to {MOST_PPI:g}, or nothing where the file says it"
        raise Misuse(f"{where} is {text!r}, expected {expected}")
    return ppi
