"""The comparisons of a benchmark: facts of each pair once, then every method on every pair.

Each set has one log for the facts and one for each method (`result_log`), so that a method or a set
may be added, or an interrupted benchmark continued, without computing anything twice.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import operator
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model.registration.method_version import METHOD_VERSION
from shards.foundation import pool
from shards.foundation.errors import Fault
from shards.foundation.progress import Progress
from train.evaluation import reference_minutiae, result_log
from train.evaluation.benchmark import (
    afis_minutiae,
    map_measures,
    methods,
    minutiae_files,
    pair_facts,
)
from train.evaluation.benchmark.map_measures import FileGridMap
from train.evaluation.benchmark.methods import Job, Register
from train.evaluation.benchmark.opened_set import OpenedFile, OpenedSet
from train.evaluation.file_methods import MEASUREMENT_VERSION, FileResult, at_500_ppi
from train.evaluation.fvc import Comparison
from train.evaluation.reference_minutiae import PointMap
from train.evaluation.result_log import ResultLog, Row

VERSION = 2  # of the measures: raise it with every change of code that changes stored results


@dataclass(frozen=True)
class ComparisonParameters:
    """Settings of the comparisons."""

    pairs_per_task: int = 14  # of one process; chosen: half of a finger's, a kill loses no more
    # px at 500 ppi, of a mate that is mapped further away, or nowhere. Chosen: seven ridges;
    # beyond it does not matter how wrong a map is.
    lost_distance: float = 64.0


DEFAULT = ComparisonParameters()


class Task(NamedTuple):
    """A pair to compare by one method: names of the files, whether they are genuine, facts."""

    a: str
    b: str
    genuine: bool
    facts: Row


def run_facts(
    job: Job, comparisons: list[Comparison], inputs: Row, out: Path, workers: int | None
) -> list[Row]:
    """Measure the facts of each pair that the log does not hold; return all, in order.

    Args:
        job: set and minutiae; the method does not matter.
        comparisons: the pairs.
        inputs: everything that they depend on.
        out: folder of the log.
        workers: number of processes; None for as many as cores.
    """
    tasks = [Task(pair.a.name, pair.b.name, pair.genuine, {}) for pair in comparisons]
    inputs = inputs | _versions() | {"method": None}
    work = functools.partial(_measure_facts, job)
    return _run(work, tasks, inputs, out, f"{job.entry_set.name}: pairs", workers)


def run_method(
    job: Job, facts: list[Row], inputs: Row, out: Path, workers: int | None
) -> list[Row]:
    """Make each comparison of a method that the log does not hold; return all, in order.

    Args:
        job: method and set.
        facts: of each pair, see `run_facts`.
        inputs: everything that the facts depend on.
        out: folder of the log.
        workers: number of processes; None for as many as cores.
    """
    tasks = [Task(row["a"], row["b"], row["genuine"], row) for row in facts]
    inputs = inputs | _versions() | methods.describe_inputs(job)
    name = f"{job.entry_set.name}: {methods.label(job.entry)}"
    return _run(functools.partial(_compare_all, job), tasks, inputs, out, name, workers)


def _versions() -> Row:
    """Return the versions of all code that facts and measures depend on, and of libraries."""
    return result_log.versions(
        {
            "facts": pair_facts.VERSION,
            "measures": VERSION,
            "files": MEASUREMENT_VERSION,
            "minutiae files": minutiae_files.VERSION,
            "registration": METHOD_VERSION,
            reference_minutiae.ORACLE: reference_minutiae.VERSION,
        }
    )


def _run(
    work: Callable[[list[Task], Callable[[], bool]], list[Row]],
    tasks: list[Task],
    inputs: Row,
    out: Path,
    name: str,
    workers: int | None,
    parameters: ComparisonParameters = DEFAULT,
) -> list[Row]:
    with ResultLog(out, inputs, operator.itemgetter("a", "b")) as log:
        done = {(row["a"], row["b"]) for row in log.rows}
        remaining = [task for task in tasks if (task.a, task.b) not in done]
        size = parameters.pairs_per_task
        parts = [remaining[k : k + size] for k in range(0, len(remaining), size)]
        failed = 0
        with (
            Progress(name, len(remaining), "pairs") as progress,
            contextlib.closing(pool.run(work, parts, workers)) as results,
        ):
            for rows in results:
                for row in rows:
                    log.append(row)
                failed += sum(bool(row["fault"]) for row in rows)
                progress.advance(len(rows), failed=failed)
        by_files = {(row["a"], row["b"]): row for row in log.rows}
    return [by_files[task.a, task.b] for task in tasks]


def forget_files() -> None:
    """Forget what this process read of files, which may have changed since an earlier call."""
    _open_set.cache_clear()
    _create.cache_clear()


@functools.lru_cache(1)
def _open_set(folder: Path, witness: Path | None, mindtct: Path | None) -> OpenedSet:
    return OpenedSet(folder, witness, mindtct)


@functools.lru_cache(1)
def _create(job: Job) -> Register:
    return methods.create(job)


def _measure_facts(job: Job, tasks: list[Task], stop: Callable[[], bool]) -> list[Row]:
    """Measure the facts of pairs in this process."""
    files = _open_set(job.entry_set.folder, job.witness, job.mindtct)
    rows = []
    for task in itertools.takewhile(lambda _: not stop(), tasks):
        row = {"a": task.a, "b": task.b, "genuine": task.genuine, "fault": None}
        try:
            row |= pair_facts.measure(files.open(task.a), files.open(task.b), task.genuine)
        except Fault as fault:
            row |= {"fault": _describe(task, fault), "conditions": {}, "matchers": {}}
            row |= {"mates": None, "residuals": None, "oracle": None}
        rows.append(row)
    return rows


def _compare_all(job: Job, tasks: list[Task], stop: Callable[[], bool]) -> list[Row]:
    """Compare pairs by a method in this process."""
    files = _open_set(job.entry_set.folder, job.witness, job.mindtct)
    register = _create(job)
    rows = []
    for task in itertools.takewhile(lambda _: not stop(), tasks):
        row: Row = {"a": task.a, "b": task.b, "genuine": task.genuine, "fault": None}
        try:
            a, b = files.open(task.a), files.open(task.b)
            start = time.process_time()
            result = register(a, b)
            seconds = time.process_time() - start
            row |= {"score": float(result.score), "seconds": round(seconds, 4)}
            row |= _measure(a, b, result, task.facts)
        except Fault as fault:
            row |= {"fault": _describe(task, fault), "matchers": {}}
        rows.append(row)
    return rows


def _measure(a: OpenedFile, b: OpenedFile, result: FileResult, facts: Row) -> Row:
    """Measure a registration; values are None where they are undefined or there is no witness."""
    grid_map = FileGridMap(result.point_map, a.prepared, b.prepared)
    row: Row = {
        "correlation": map_measures.correlation(grid_map),
        "mapped": map_measures.mapped_share(grid_map),
        "bending": map_measures.bending(grid_map),
        "matchers": {},
    }
    to_file_a, to_file_b = (file.prepared.prepared.to_original for file in (a, b))
    point_map = at_500_ppi(result.point_map, to_file_a, to_file_b)
    if a.template and b.template:
        carried = afis_minutiae.carry(a.template, point_map, b.template.height)
        row["matchers"] = afis_minutiae.match(carried, b.template)
    if facts.get("mates") is None:
        return row
    assert a.witness is not None and b.witness is not None
    distances = reference_minutiae.distances(a.witness, b.witness, point_map)
    confirmed = reference_minutiae.share(len(distances), a.witness, b.witness)
    return row | {
        "confirmed": confirmed,
        "aligned": reference_minutiae.is_aligned(confirmed, facts["oracle"]),
        "residuals": [round(distance, 3) for distance in distances.tolist()],
        "mate_distances": _mate_distances(a, b, point_map, facts["mates"]),
    }


def _mate_distances(
    a: OpenedFile,
    b: OpenedFile,
    point_map: PointMap,
    mates: list[list[int]],
    parameters: ComparisonParameters = DEFAULT,
) -> list[float]:
    """Return the distance of each mate of A, mapped, from its mate in B, px at 500 ppi."""
    assert a.witness is not None and b.witness is not None
    index_a, index_b = np.array(mates, np.intp).reshape(-1, 2).T
    offset = point_map(a.witness[index_a, :2]) - b.witness[index_b, :2]
    distances: Any = np.nan_to_num(np.hypot(*offset.T), nan=parameters.lost_distance)
    return [round(value, 3) for value in np.minimum(distances, parameters.lost_distance).tolist()]


def _describe(task: Task, fault: Fault) -> str:
    return f"{task.a} × {task.b}: {fault}"
