"""Register many pairs: read a table of pairs, write a table of scores and a map for each row.

The rows are divided among processes. Each process keeps the impressions that it has prepared, since
an impression usually occurs in several pairs. The result of a row depends on its two images, the
checkpoint and the method (`model.registration.method_version`) and not on the number of processes;
results of an earlier call with the same inputs are reused, after they were checked. Results of
another table, checkpoint or method in the folder are never replaced.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.network import compilation_cache
from model.registration import pair_table, table_page
from model.registration.impression import PreparedImpression
from model.registration.impression_cache import ImpressionCache
from model.registration.method_version import describe_method
from model.registration.pair_table import PairRow, ScoreRow
from model.registration.registrar import Registrar, require_two_files
from model.registration.result import Registration
from pipeline.imaging.header import Size
from pipeline.imaging.resolution import ImageResolution
from shards.foundation import files, pool
from shards.foundation.errors import Fault, Misuse
from shards.foundation.folder_lock import sole_writer
from shards.foundation.progress import Progress

SCORES = "scores.csv"


@dataclass(frozen=True)
class DivisionParameters:
    """Division of a table among processes."""

    # Rows that a process registers at a time: a killed command loses no more of them. Chosen.
    rows_per_task: int = 32
    # Least rows per process, which takes about as long to start as to register them (measured,
    # docs/LOG.md, 2026-11-23, "One map for both directions; tables of pairs").
    least_rows_per_process: int = 64


DIVISION = DivisionParameters()


@dataclass(frozen=True)
class TableJob:
    """Settings that all rows of a table share.

    Attributes:
        checkpoint: the .safetensors file of the network.
        out: folder of the results.
        maps: whether the map, the matches and the thumbnail of each row are written.
        method: digest of what the results depend on besides the images (`describe_method`).
        raw_size: (width, height) in px of files without header.
    """

    checkpoint: Path
    out: Path
    maps: bool
    method: str
    raw_size: Size | None = None

    def map_path(self, pair: PairRow) -> Path:
        """Return the path of the map of a row."""
        return self.out / f"{pair.row:06d}.npz"

    def thumbnail_path(self, pair: PairRow) -> Path:
        """Return the path of the thumbnail of a row."""
        return self.out / table_page.thumbnail_name(pair.row)

    def input_digest(self, pair: PairRow) -> str:
        """Return a digest of what the result of a row depends on besides the method."""
        images = [_file_digest(pair.a), pair.known_a, _file_digest(pair.b), pair.known_b]
        return _digest([images, self.raw_size])

    def is_reusable(self, pair: PairRow, score: ScoreRow) -> bool:
        """Return whether a finished row of an earlier call is still the result of this pair."""
        if score.inputs != self.input_digest(pair):
            return False
        if not self.maps:
            return True
        is_shown = files.is_file(self.thumbnail_path(pair))
        return is_shown and files.has_sha256(self.map_path(pair), score.map_sha256)


def register_table(
    checkpoint: Path,
    table: Path,
    out: Path,
    known_a: ImageResolution | None = None,
    known_b: ImageResolution | None = None,
    workers: int | None = None,
    maps: bool = True,
    raw_size: Size | None = None,
) -> list[str]:
    """Register every row of a table of pairs.

    Writes out/scores.csv with one `ScoreRow` per row, and for row i the map and the matches as
    out/iiiiii.npz (six digits, from 000000). A row that fails has no map and stops no other row.
    With the maps come out/thumbnails and out/index.html, a page with all rows.

    Args:
        checkpoint: the .safetensors file of the network.
        table: CSV file (`pair_table.read_pairs`).
        out: folder of the results; results in it that have the same inputs are kept.
        known_a, known_b: resolution for rows that state none; None for that of the image file.
        workers: number of processes; None for as many as the rows and the processor's cores allow.
        maps: whether to write the maps and matches, the thumbnails and the page.
        raw_size: (width, height) in px of files without header.

    Returns:
        A message for each row that failed.

    Raises:
        Misuse: the table cannot be read, the checkpoint does not exist, or `out` is a file, has
            results of another table or method, or is being written by another process.
        Fault: the checkpoint cannot be used, or `out` cannot be written.
    """
    pairs = pair_table.read_pairs(table, known_a, known_b)
    _file_digest.cache_clear()  # files may have changed since an earlier call
    _load_registrar.cache_clear()
    # An unusable checkpoint is reported before results are removed.
    _load_registrar(checkpoint, raw_size)
    job = TableJob(checkpoint, out, maps, _digest(describe_method(checkpoint)), raw_size)
    with sole_writer(out):
        scores = _reusable_scores(job, table, pairs)
        pair_table.write_scores(out / SCORES, scores)
        finished = {score.row for score in scores}
        remaining = [pair for pair in pairs if pair.row not in finished]
        scores = sorted([*scores, *_register_pairs(job, remaining, workers)])
        pair_table.write_scores(out / SCORES, scores)
        if maps:
            table_page.write_table_page(out, table.name, scores)
        else:
            (out / table_page.PAGE).unlink(missing_ok=True)  # shows other results
    return _error_messages(table, pairs, scores)


def _reusable_scores(job: TableJob, table: Path, pairs: list[PairRow]) -> list[ScoreRow]:
    """Read the rows of an earlier table of scores that are results of the same inputs.

    Raises:
        Misuse: there are finished rows of another table or method, which would be lost.
    """
    path, by_row = job.out / SCORES, {pair.row: pair for pair in pairs}
    earlier = {score.row: score for score in pair_table.read_scores(path) if not score.fault}
    for score in earlier.values():
        pair = by_row.get(score.row)
        if pair is None or (score.a, score.b) != (str(pair.a), str(pair.b)):
            difference = f"its row {score.row:06d} ({score.a}, {score.b}) is not that of {table}"
        elif score.method != job.method:
            difference = "they were computed with another checkpoint or version of the program"
        else:
            continue
        raise Misuse(
            f"{path}: holds {len(earlier)} finished rows, and {difference}; name another --out, or"
            " remove this file to replace them"
        )
    return [score for row, score in sorted(earlier.items()) if job.is_reusable(by_row[row], score)]


def _register_pairs(job: TableJob, pairs: list[PairRow], workers: int | None) -> list[ScoreRow]:
    """Register pairs on several processes; append the scores of each task as soon as it ends."""
    workers = workers or max(1, min(pool.cores(), len(pairs) // DIVISION.least_rows_per_process))
    scores: list[ScoreRow] = []
    failed = 0
    with (
        Progress("register", len(pairs), "pairs") as progress,
        contextlib.closing(
            pool.run(functools.partial(_register_task, job), _divide(pairs, workers), workers)
        ) as results,
    ):
        for task_scores in results:
            pair_table.append_scores(job.out / SCORES, task_scores)
            scores += task_scores
            failed += sum(bool(score.fault) for score in task_scores)
            progress.advance(len(task_scores), failed=failed)
    return scores


def _divide(pairs: list[PairRow], workers: int) -> list[list[PairRow]]:
    """Divide rows into tasks of consecutive rows; a single process takes them one by one."""
    size = max(1, min(DIVISION.rows_per_task, len(pairs) // workers)) if workers > 1 else 1
    return [pairs[start : start + size] for start in range(0, len(pairs), size)]


def _register_task(job: TableJob, pairs: list[PairRow], stop: Callable[[], bool]) -> list[ScoreRow]:
    """Register the rows of one task in this process, until `stop` returns true."""
    return [_register_pair(job, pair) for pair in itertools.takewhile(lambda _: not stop(), pairs)]


def _register_pair(job: TableJob, pair: PairRow) -> ScoreRow:
    """Register one row; every error becomes its "fault"."""
    registrar, impressions = _load_registrar(job.checkpoint, job.raw_size)
    map_path, score = job.map_path(pair), ScoreRow(pair.row, str(pair.a), str(pair.b))
    thumbnail = job.thumbnail_path(pair)
    try:
        map_path.unlink(missing_ok=True)  # may be the result of other inputs
        thumbnail.unlink(missing_ok=True)
        require_two_files(pair.a, pair.b)
        inputs = job.input_digest(pair)  # before they are read: a file may be replaced meanwhile
        a = impressions.get(pair.a, pair.known_a)
        b = impressions.get(pair.b, pair.known_b)
        registration = registrar.register_impressions(a, b)
        map_sha256 = ""
        if job.maps:
            table_page.write_thumbnail(thumbnail, a, b, registration)
            registration.save(map_path)  # last: a row that fails has no map
            map_sha256 = files.sha256(map_path)
    except Fault as fault:
        return score._replace(fault=str(fault)).sealed()
    except Exception as error:  # one row that cannot be foreseen must not end the others
        return score._replace(fault=_describe_unforeseen(error)).sealed()
    result = score._replace(
        score=f"{registration.score:.6g}",
        matches=str(len(registration.matches)),
        ppi_a=f"{a.resolution.ppi:g}",
        ppi_b=f"{b.resolution.ppi:g}",
        ppi_a_source=a.resolution.source,
        ppi_b_source=b.resolution.source,
        notes="; ".join(_notes(a, b, registration)),
        method=job.method,
        inputs=inputs,
        map_sha256=map_sha256,
    )
    return result.sealed()


def _notes(a: PreparedImpression, b: PreparedImpression, registration: Registration) -> list[str]:
    """Return the remarks about both images, and why there is no map."""
    refusal = [f"no map: {registration.refusal}"] if registration.refusal else []
    return [f"a: {note}" for note in a.notes] + [f"b: {note}" for note in b.notes] + refusal


def _describe_unforeseen(error: Exception) -> str:
    """Describe an error of the program itself, with the place in the code."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"unforeseen {type(error).__name__}: {error} ({Path(place.filename).name}, line"
        f" {place.lineno}); please report it"
    )


def _error_messages(table: Path, pairs: list[PairRow], scores: list[ScoreRow]) -> list[str]:
    """Return a message for each row that failed, with its line in the table."""
    lines = {pair.row: pair.line for pair in pairs}
    return [
        f"row {score.row:06d} (line {lines[score.row]} of {table}): {score.fault}"
        for score in scores
        if score.fault
    ]


@functools.lru_cache(1)
def _load_registrar(checkpoint: Path, raw_size: Size | None) -> tuple[Registrar, ImpressionCache]:
    """Load the network of this process, with an empty cache of impressions."""
    compilation_cache.enable()
    registrar = Registrar(checkpoint)
    return registrar, ImpressionCache(functools.partial(registrar.prepare_file, raw_size=raw_size))


def _digest(value: Any) -> str:
    """Return 16 hexadecimal digits of the sha256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


@functools.cache
def _file_digest(path: Path) -> str:
    """Return the sha256 of a file; empty where it cannot be read, which opening it reports."""
    try:
        return files.sha256(path)
    except (OSError, ValueError):
        return ""
