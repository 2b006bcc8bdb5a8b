"""Run the tasks of a build: on processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence

from pipeline.building.worker import ShardResult, ShardTask
from shards.foundation import pool
from shards.foundation.progress import Progress

Work = Callable[..., ShardResult]
Engine = Callable[[Work, Sequence[ShardTask], int | None], Generator[ShardResult]]


def load_engine(name: str) -> Engine:
    """Return the function that runs tasks; Misuse where its package is not installed."""
    if name == "local":
        return pool.run
    from pipeline.building import ray_engine

    return ray_engine.run


def run_tasks(
    label: str,
    unit: str,
    work: Work,
    tasks: Sequence[ShardTask],
    workers: int | None,
    engine: Engine,
) -> Iterator[ShardResult]:
    """Yield the results of all tasks as they are finished; show progress in `unit`.

    Args:
        label: name of the work.
        unit: "pairs" or "images".
        work: function of a task.
        tasks: shards.
        workers: processes at the same time.
        engine: runs `work` on the tasks.
    """
    if not tasks:
        return
    if unit == "pairs":
        total = sum(task.planned_pairs for task in tasks)
    else:
        total = sum(len(task.shard.images) for task in tasks)
    with (
        Progress(label, total, unit) as progress,
        contextlib.closing(engine(work, tasks, workers)) as results,
    ):
        for result in results:
            records = result.state.entry.records if result.state else 0
            progress.advance(records if unit == "pairs" else len(result.hashes))
            yield result
