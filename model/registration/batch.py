"""Many registrations in one go: a table of pairs in, a table of scores and a folder of maps out.

The rows are shared out among processes in runs, each of which keeps the prints that it has opened:
a print is mostly in several pairs. An answer depends on its pair alone, whoever makes it, and what
is answered is not done again while all that it rests on is the same.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.network import compilation_cache
from model.registration import pair_table
from model.registration.pair_table import Pair, Score
from model.registration.registrar import PreparedImpression, Registrar, require_two_files
from shards.foundation import files, pool
from shards.foundation.errors import Fault, Misuse
from shards.foundation.progress import Progress

RUN = 32  # rows that a process takes at a time
WORTH = 64  # rows for each process, at the least: it takes as long to start
KEPT = 2**26  # px at 500 ppi of prints kept open by a process, at some 6 bytes each
SCORES = "scores.csv"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Job:
    """What all rows of a table have in common."""

    checkpoint: Path
    out: Path
    maps: bool  # whether each row's map and matches are kept
    program: str  # a digest of the program and the checkpoint

    def answer(self, pair: Pair) -> Path:
        """Where the map of a row is kept."""
        return self.out / f"{pair.row:06d}.npz"

    def inputs(self, pair: Pair) -> str:
        """A digest of all that the answer to a row rests on."""
        of_files = (_digest(pair.a), pair.ppi_a, _digest(pair.b), pair.ppi_b)
        return hashlib.sha256(repr((self.program, *of_files)).encode()).hexdigest()[:16]

    def holds(self, pair: Pair, score: Score) -> bool:
        """Whether a row of an earlier table of scores is what this row would be again."""
        same = (score.a, score.b) == (str(pair.a), str(pair.b)) and not score.fault
        there = not self.maps or self.answer(pair).is_file()
        return same and there and score.inputs == self.inputs(pair)


def register_pairs(
    checkpoint: Path,
    pairs: Path,
    out: Path,
    ppi_a: float | None = None,
    ppi_b: float | None = None,
    workers: int | None = None,
    maps: bool = True,
) -> list[str]:
    """Register every row of the table `pairs` (`table.read_pairs`) → the faults of those that fail.

    out/scores.csv has a line a row (`table.Score`). Row i's map and matches are in out/iiiiii.npz,
    six digits from 000000, unless `maps` are not wanted. The bytes do not depend on the number of
    processes; a row that fails stops no other, and has no map. Rows that an earlier call finished
    on the same files, by the same program and checkpoint, are kept. Misuse where the table cannot
    be read or `out` is no folder, Fault or Misuse where the checkpoint is unusable.
    """
    rows = pair_table.read_pairs(pairs, ppi_a, ppi_b)
    if out.exists() and not out.is_dir():
        raise Misuse(f"{out}: is a file; --out names the folder for the answers")
    for kept in (_digest, _ready):
        kept.cache_clear()  # files may have changed since another call
    _ready(checkpoint)  # one that is none is found here, before an answer is taken back
    job = Job(checkpoint, out, maps, _program(checkpoint))
    before = {score.row: score for score in pair_table.read_scores(out / SCORES)}
    scores = [before[p.row] for p in rows if p.row in before and job.holds(p, before[p.row])]
    pair_table.write_scores(out / SCORES, scores)
    done = {score.row for score in scores}
    scores += _answered(job, [pair for pair in rows if pair.row not in done], workers)
    scores.sort()
    pair_table.write_scores(out / SCORES, scores)
    lines = {pair.row: pair.line for pair in rows}
    return [
        f"row {score.row:06d} (line {lines[score.row]} of {pairs}): {score.fault}"
        for score in scores
        if score.fault
    ]


def _answered(job: Job, rows: list[Pair], workers: int | None) -> list[Score]:
    """Answer rows; each is in the table of scores as soon as its run is done."""
    workers = workers or max(1, min(pool.cores(), len(rows) // WORTH))
    size = max(1, min(RUN, len(rows) // workers)) if workers > 1 else 1  # what a kill loses
    runs = [rows[k : k + size] for k in range(0, len(rows), size)]
    scores: list[Score] = []
    failed = 0
    with (
        Progress("register", len(rows), "pairs") as progress,
        contextlib.closing(pool.run(functools.partial(_register, job), runs, workers)) as results,
    ):
        for found in results:
            pair_table.append_scores(job.out / SCORES, found)
            scores += found
            failed += sum(bool(score.fault) for score in found)
            progress.advance(len(found), failed=failed)
    return scores


class Prints:
    """Prints as they are opened, the last used of them kept, up to `most` px."""

    def __init__(
        self, open_file: Callable[[Path, float | None], PreparedImpression], most: int = KEPT
    ) -> None:
        self._open, self._most = open_file, most
        self._kept: OrderedDict[tuple[Path, float | None], PreparedImpression] = OrderedDict()
        self._size = 0

    def open(self, path: Path, ppi: float | None) -> PreparedImpression:
        """The print in the file at `path`, which is opened where it is not kept."""
        key = (path, ppi)
        if key not in self._kept:
            self._kept[key] = self._open(path, ppi)
            self._size += self._kept[key].prepared.image.size
        self._kept.move_to_end(key)
        while self._size > self._most and len(self._kept) > 2:  # a pair
            self._size -= self._kept.popitem(last=False)[1].prepared.image.size
        return self._kept[key]


def _register(job: Job, rows: list[Pair], stop: Callable[[], bool]) -> list[Score]:
    """Answer a run of rows."""
    return [_score(job, pair) for pair in itertools.takewhile(lambda _: not stop(), rows)]


def _score(job: Job, pair: Pair) -> Score:
    """Answer a row."""
    registrar, prints = _ready(job.checkpoint)
    answer, score = job.answer(pair), Score(pair.row, str(pair.a), str(pair.b))
    try:
        answer.unlink(missing_ok=True)  # of other inputs
        require_two_files(pair.a, pair.b)
        opened = prints.open(pair.a, pair.ppi_a), prints.open(pair.b, pair.ppi_b)
        found = registrar.register_impressions(*opened)
        if job.maps:
            found.save(answer)
    except Fault as fault:
        return score._replace(fault=str(fault))
    said = f"{found.score:.6g}", str(len(found.matches)), job.inputs(pair)
    return score._replace(score=said[0], matches=said[1], inputs=said[2])


@functools.lru_cache(1)
def _ready(checkpoint: Path) -> tuple[Registrar, Prints]:
    """A process's network and the prints that it keeps."""
    compilation_cache.enable()
    registrar = Registrar(checkpoint)
    return registrar, Prints(registrar.prepare_file)


def _program(checkpoint: Path) -> str:
    """A digest of what makes answers of images."""
    files = [
        path
        for room in ("model", "pipeline/imaging")
        for path in sorted(ROOT.glob(f"{room}/**/*.py"))
    ]
    return hashlib.sha256("".join(map(_digest, [*files, checkpoint])).encode()).hexdigest()


@functools.cache
def _digest(path: Path) -> str:
    """Of a file's contents; empty where it cannot be read, which is said when it is opened."""
    try:
        return files.sha256(path)
    except (OSError, ValueError):
        return ""
