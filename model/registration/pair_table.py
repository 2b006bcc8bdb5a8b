"""Read and write the two CSV tables of `register_table`: the pairs, and their scores."""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.imaging import resolution
from pipeline.imaging.resolution import ImageResolution
from shards.foundation import csv_table, files
from shards.foundation.errors import Misuse


@dataclass(frozen=True)
class PairRow:
    """One row of the table of pairs.

    Attributes:
        row: number of the row, from 0.
        line: line of the file, from 1, for messages.
        a, b: the image files.
        known_a, known_b: resolution that the user states; None for that of the image file.
    """

    row: int
    line: int
    a: Path
    b: Path
    known_a: ImageResolution | None
    known_b: ImageResolution | None


class ScoreRow(NamedTuple):
    """One row of the table of scores; its fields are the columns, and texts as in the file.

    Attributes:
        row: number of the row in the table of pairs, from 0.
        a, b: the image files.
        score: probability of one finger; empty after an error.
        matches: number of matches; empty after an error.
        ppi_a, ppi_b: resolution that was used; empty after an error.
        ppi_a_source, ppi_b_source: how it is known (`ImageResolution`).
        notes: remarks of the reader about the images, such as which page was read; and why there
            is no map.
        fault: the error message; empty without one.
        method: digest of network and program (`describe_method`).
        inputs: digest of everything else that the result depends on: images, resolutions.
        map_sha256: of the file of the map; empty without one.
        crc32: of all other fields, so that a line that was changed is not believed.
    """

    row: int
    a: str
    b: str
    score: str = ""
    matches: str = ""
    ppi_a: str = ""
    ppi_b: str = ""
    ppi_a_source: str = ""
    ppi_b_source: str = ""
    notes: str = ""
    fault: str = ""
    method: str = ""
    inputs: str = ""
    map_sha256: str = ""
    crc32: str = ""

    def sealed(self) -> ScoreRow:
        """Return the row with its checksum."""
        text = json.dumps(self[:-1]).encode()
        return self._replace(crc32=f"{zlib.crc32(text):08x}")

    @property
    def is_sound(self) -> bool:
        """Whether the row is as it was written."""
        return self == self.sealed()

    @property
    def resolutions(self) -> dict[str, ImageResolution]:
        """The resolutions that were used, by image; none after an error."""
        if not self.ppi_a:
            return {}
        return {
            self.a: ImageResolution(float(self.ppi_a), self.ppi_a_source),
            self.b: ImageResolution(float(self.ppi_b), self.ppi_b_source),
        }


def read_pairs(
    path: Path, known_a: ImageResolution | None = None, known_b: ImageResolution | None = None
) -> list[PairRow]:
    """Read a table of pairs: a CSV file with the columns a and b, and optionally ppi_a and ppi_b.

    Args:
        path: the CSV file; a and b are image files.
        known_a, known_b: resolution for rows that state none; None for that of the image file.

    Raises:
        Misuse: the file is not such a table (`csv_table.read_table`), or a resolution in it is not
            accepted (`pipeline.imaging.resolution`).
    """
    table = csv_table.read_table(path, ("a", "b"), ("ppi_a", "ppi_b"))
    table.report_ignored(path)
    return [
        PairRow(
            number,
            line,
            Path(row["a"]),
            Path(row["b"]),
            _parse_ppi(row.get("ppi_a"), known_a, f"{path}: line {line}: ppi_a"),
            _parse_ppi(row.get("ppi_b"), known_b, f"{path}: line {line}: ppi_b"),
        )
        for number, (line, row) in enumerate(table.rows)
    ]


def read_scores(path: Path) -> list[ScoreRow]:
    """Read a table of scores, without rows that were cut off or changed; empty without a file.

    Raises:
        Misuse: the file cannot be read or is not a table of scores of this version, so it must not
            be replaced.
    """
    if not path.exists():
        return []
    try:
        header, *rows = csv.reader(io.StringIO(files.read_text(path), newline=""))
    except (OSError, csv.Error, ValueError) as error:
        raise Misuse(f"{path}: cannot be read ({error}); name another --out") from error
    if tuple(header) != ScoreRow._fields:
        raise Misuse(
            f"{path}: is not a table of scores of this version ({','.join(header)}); name another"
            " --out"
        )
    complete = [row for row in rows if len(row) == len(header) and row[0].isdecimal()]
    scores = [ScoreRow(int(number), *texts) for number, *texts in complete]
    return [score for score in scores if score.is_sound]


def write_scores(path: Path, scores: Iterable[ScoreRow]) -> None:
    """Replace the table of scores atomically; Fault where it cannot be written."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([ScoreRow._fields, *scores])
    files.write_text(path, text.getvalue())


def append_scores(path: Path, scores: Iterable[ScoreRow]) -> None:
    """Add rows to the table of scores; Fault where it cannot be written."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(scores)
    with files.report_write_errors(path), files.open_to_append(path) as file:
        file.write(text.getvalue().encode())


def _parse_ppi(
    text: str | None, default: ImageResolution | None, where: str
) -> ImageResolution | None:
    """Parse a resolution; `where` names the place in the file for the message."""
    if not text:
        return default
    ppi = resolution.parse_ppi(text)
    if ppi is None:
        raise Misuse(f"{where} is {text!r}, {resolution.DEFAULT.expected}, or nothing")
    return ImageResolution(ppi, "table")
