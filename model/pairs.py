"""Many registrations in one go: a table of pairs in, a folder of answers out."""

from __future__ import annotations

import csv
import functools
from pathlib import Path

from model.register import Registrar
from shards.errors import Fault, Misuse
from shards.progress import Progress

OPEN_PRINTS = 64  # kept ready, since a print is in many pairs


def register_pairs(
    registrar: Registrar,
    table: Path,
    out: Path,
    ppi_a: float | None = None,
    ppi_b: float | None = None,
) -> list[str]:
    """Register every row of `table` (columns a, b: image files) → the faults of those that failed.

    Row i is answered by out/iiiiii.npz, six digits from 000000; a row that fails leaves none and
    stops no other. Misuse where the table cannot be read or `out` is no folder.
    """
    rows = read_table(table)
    if out.exists() and not out.is_dir():
        raise Misuse(f"{out}: is a file; --out names the folder for the answers")
    open_print = functools.lru_cache(OPEN_PRINTS)(registrar.open_file)
    faults = []
    with Progress("register", len(rows), "pairs") as progress:
        for k, (a, b) in enumerate(rows):
            answer = out / f"{k:06d}.npz"
            try:
                prints = open_print(a, ppi_a), open_print(b, ppi_b)
                registrar.register_prints(*prints).save(answer)
            except Fault as fault:
                answer.unlink(missing_ok=True)
                faults.append(f"row {k:06d} (line {k + 2} of {table}): {fault}")
            progress.advance(failed=len(faults))
    return faults


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
