"""Many registrations in one go: a table of pairs in, a folder of answers out.

The rows are shared out among processes in runs, each of which keeps the prints that it has opened:
a print is mostly in several pairs. An answer depends on its pair alone, whoever makes it.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import itertools
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model import programs
from model.register import Print, Registrar, refuse_one_file
from shards import pool
from shards.errors import Fault, Misuse
from shards.progress import Progress

RUN = 32  # rows that a process takes at a time
WORTH = 64  # rows for each process, at the least: it takes as long to start
KEPT = 2**26  # px at 500 ppi of prints kept open by a process, at some 6 bytes each

Row = tuple[int, Path, Path]  # number, A, B
Failed = tuple[int, str]  # number, why


@dataclass(frozen=True)
class Job:
    """What all rows of a table have in common."""

    checkpoint: Path
    out: Path
    ppi_a: float | None
    ppi_b: float | None


def register_pairs(
    checkpoint: Path,
    table: Path,
    out: Path,
    ppi_a: float | None = None,
    ppi_b: float | None = None,
    workers: int | None = None,
) -> list[str]:
    """Register every row of `table` (columns a, b: image files) → the faults of those that failed.

    Row i is answered by out/iiiiii.npz, six digits from 000000, whose bytes do not depend on the
    number of processes; a row that fails leaves none and stops no other. Misuse where the table
    cannot be read or `out` is no folder, Fault or Misuse where the checkpoint is unusable.
    """
    pairs = read_table(table)
    if out.exists() and not out.is_dir():
        raise Misuse(f"{out}: is a file; --out names the folder for the answers")
    workers = workers or max(1, min(pool.cores(), len(pairs) // WORTH))
    if workers > 1:
        Registrar(checkpoint)  # a checkpoint that is none is found here, not in every process
    rows = [(k, a, b) for k, (a, b) in enumerate(pairs)]
    size = min(RUN, math.ceil(len(rows) / workers))
    runs = [rows[k : k + size] for k in range(0, len(rows), size)]
    work = functools.partial(_register, Job(checkpoint, out, ppi_a, ppi_b))
    failed: list[Failed] = []
    with (
        Progress("register", len(rows), "pairs") as progress,
        contextlib.closing(pool.run(work, runs, workers)) as results,
    ):
        for done, found in results:
            failed += found
            progress.advance(done, failed=len(failed))
    return [f"row {k:06d} (line {k + 2} of {table}): {why}" for k, why in sorted(failed)]


def read_table(path: Path) -> list[tuple[Path, Path]]:
    """The image files in the columns a and b of a CSV file with a header."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise Misuse(f"{path}: is no readable table of pairs: {error}") from error
    if not rows or not {"a", "b"} <= rows[0].keys():
        found = list(rows[0]) if rows else "no rows"
        raise Misuse(f"{path}: found {found}; expected a header a,b and a pair of images a line")
    return [(Path(row["a"] or ""), Path(row["b"] or "")) for row in rows]


class Prints:
    """Prints as they are opened, the last used of them kept, up to `most` px."""

    def __init__(self, open_file: Callable[[Path, float | None], Print], most: int = KEPT) -> None:
        self._open, self._most = open_file, most
        self._kept: OrderedDict[tuple[Path, float | None], Print] = OrderedDict()
        self._size = 0

    def open(self, path: Path, ppi: float | None) -> Print:
        """The print in the file at `path`, which is opened where it is not kept."""
        key = (path, ppi)
        if key not in self._kept:
            self._kept[key] = self._open(path, ppi)
            self._size += self._kept[key].prepared.image.size
        self._kept.move_to_end(key)
        while self._size > self._most and len(self._kept) > 2:  # a pair
            self._size -= self._kept.popitem(last=False)[1].prepared.image.size
        return self._kept[key]


def _register(job: Job, rows: list[Row], stop: Callable[[], bool]) -> tuple[int, list[Failed]]:
    """Answer rows; how many there were, and which of them failed and why."""
    registrar, prints = _ready(job.checkpoint)
    failed = []
    for number, a, b in itertools.takewhile(lambda _: not stop(), rows):
        answer = job.out / f"{number:06d}.npz"
        try:
            refuse_one_file(a, b)
            opened = prints.open(a, job.ppi_a), prints.open(b, job.ppi_b)
            registrar.register_prints(*opened).save(answer)
        except Fault as fault:
            answer.unlink(missing_ok=True)
            failed.append((number, str(fault)))
    return len(rows), failed


@functools.lru_cache(1)
def _ready(checkpoint: Path) -> tuple[Registrar, Prints]:
    """A process's network and the prints that it keeps."""
    programs.keep()
    registrar = Registrar(checkpoint)
    return registrar, Prints(registrar.open_file)
