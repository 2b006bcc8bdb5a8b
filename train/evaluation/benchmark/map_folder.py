"""Maps that another tool computed, one .npz file per pair, in a folder per set.

A file holds `map_ab` float32 [H_a, W_a, 2], the position (x, y) in B of each pixel of A (NaN where
nothing corresponds), and `score`, higher for a more probable genuine pair, as `python -m model
register` writes them. The folder is DIR/NAME of the set, or DIR itself where there is one set. Its
files are named

- A__B.npz, by the names of the image files without their endings; or
- 000000.npz, 000001.npz …, by the rows of a table scores.csv or pairs.csv (columns a, b) beside
  them, as `python -m model register --pairs` leaves them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from model.registration import registration_file
from shards.foundation import csv_table
from shards.foundation.errors import Fault, Misuse
from train.evaluation.file_methods import FileResult, sample_map

TABLES = ("scores.csv", "pairs.csv")  # the first that is there counts
LARGEST_SCORE = 1e30  # magnitude; chosen: plots compute with differences of scores
VERSION = 2  # of the reading: raise it with every change of code that changes results


@dataclass(frozen=True)
class MapFolder:
    """The maps of a set.

    Attributes:
        folder: where they are.
        rows: number of the file by the names of A and B; None where files have their names.
    """

    folder: Path
    rows: dict[tuple[str, str], int] | None

    def path(self, a: str, b: str) -> Path:
        """Return the file of a pair; Fault where it has none by names, nor a row of the table."""
        by_names = self.folder / f"{Path(a).stem}__{Path(b).stem}.npz"
        if self.rows is None or by_names.exists():
            return by_names
        if (a, b) not in self.rows:
            raise Fault(
                f"{self.folder}: holds no {by_names.name}, and its table no row with a = {a} and"
                f" b = {b}"
            )
        return self.folder / f"{self.rows[a, b]:06d}.npz"

    def register(self, a: str, b: str, shape_a: tuple[int, int]) -> FileResult:
        """Return the registration of two files.

        Args:
            a, b: names of the image files.
            shape_a: (height, width) of A.

        Raises:
            Fault: the map is missing or damaged, or is not one of this pair.
        """
        path = self.path(a, b)
        try:
            map_ab, score = registration_file.load_map(path)
        except Misuse as error:
            raise Fault(str(error)) from error
        if map_ab.shape[:2] != shape_a:
            raise Fault(f"{path}: map_ab is {list(map_ab.shape)}; expected {[*shape_a, 2]}, as {a}")
        if not abs(score) <= LARGEST_SCORE:
            raise Fault(f"{path}: score is {score:g}; expected a number within ±{LARGEST_SCORE:g}")
        return FileResult(score, functools.partial(sample_map, map_ab))


def find(folder: Path, set_name: str, only_set: bool) -> MapFolder:
    """Find the maps of a set.

    Args:
        folder: of the method.
        set_name: name of the set.
        only_set: whether there is no other set, so that the folder itself may hold the maps.

    Raises:
        Misuse: there is no folder of the set, or its table cannot be read.
    """
    of_set = folder / set_name
    if not of_set.is_dir():
        if not only_set:
            raise Misuse(f"{of_set}: no such folder; expected the maps of the set {set_name} here")
        of_set = folder
    for name in TABLES:
        if (of_set / name).exists():
            return MapFolder(of_set, _read_rows(of_set / name))
    return MapFolder(of_set, None)


def list_files(folder: MapFolder) -> list[Path]:
    """List the files on which results depend, in order."""
    paths = [*folder.folder.glob("*.npz"), *(folder.folder / name for name in TABLES)]
    return sorted(path for path in paths if path.is_file())


def _read_rows(path: Path) -> dict[tuple[str, str], int]:
    """Return the number of the file by the names of A and B; Misuse where a pair occurs twice."""
    table = csv_table.read_table(path, ("a", "b"), ("row",))
    rows: dict[tuple[str, str], int] = {}
    for position, (line, cells) in enumerate(table.rows):
        key = (Path(cells["a"]).name, Path(cells["b"]).name)
        number = cells.get("row") or str(position)
        if not number.isdecimal() or len(number) > 6:
            raise Misuse(f"{path}: line {line}: row is {number!r}; expected a number up to 999999")
        if key in rows:
            raise Misuse(f"{path}: line {line}: {key[0]} × {key[1]} occurs twice")
        rows[key] = int(number)
    return rows
