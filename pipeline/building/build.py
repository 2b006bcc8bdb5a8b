"""From selected impressions to a shard set on disk: parallel, resumable, always the same bytes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pipeline import plan
from pipeline.building import quarantine, reconcile, state, worker
from pipeline.building.state import Bad
from pipeline.building.worker import Result, Task
from pipeline.impression import Impression
from pipeline.spec import PipelineSpec
from pipeline.split import limit_training_images
from shards import manifest, store
from shards.foundation import pool
from shards.foundation.errors import Fault
from shards.foundation.progress import Progress
from shards.info import QUARANTINE
from shards.manifest import ShardEntry

SHARD_BYTES = 131_072  # of an ArrayRecord file beside its records
TEXT_BYTES = 400  # of a record beside its arrays, at most


Say = Callable[[str], None]
Work = Callable[..., Result]
Engine = Callable[[Work, Sequence[Task], int | None], Generator[Result]]


@dataclass(frozen=True)
class Report:
    """What a build did."""

    entries: list[ShardEntry]  # of the shards asked for that are there, by name
    bad: list[Bad]  # images left out of them
    kept: int  # of the shards were there already
    missing: int  # shards that other pieces have yet to build; till then there is no manifest


def build(
    spec: PipelineSpec,
    selection: Mapping[str, Sequence[Impression]],
    out: Path,
    workers: int | None = None,
    piece: tuple[int, int] = (0, 1),
    skip_bad: bool = False,
    left_out: Sequence[Bad] = (),
    rebuild: bool = False,
    say: Say = lambda line: None,
    engine: str = "local",
) -> Report:
    """Build the shards of the selected partitions into `out`, or complete them.

    Shards that are there and right are kept, other partitions left alone. `piece` (i, N) takes
    every N-th shard from the i-th on; the manifest is written when all are there. Fault that
    names all bad images (unless `skip_bad`, which lists them in OUT/quarantine.jsonl, after those
    `left_out` of the selection), or what differs where `out` was built from another spec (unless
    `rebuild`); Misuse where `out` is a file. `say` is told what a person should know. `engine`,
    "local" or "ray", is what runs the tasks, `workers` at once, or all cores that it has.
    """
    (number, pieces), run = piece, _engine(engine)
    with (
        state.lock(out, f"{number}-of-{pieces}" if pieces > 1 else None),
        pool.interruptible("finished shards"),
    ):
        if pieces == 1:
            state.sweep(out)
        reconcile.check_folders(out)
        tasks = [
            Task(s, spec, out, skip_bad)
            for s in plan.plan_shards(limit_training_images(selection, spec), spec)
        ]
        mine = tasks[number::pieces]
        with state.turn(out):
            old = reconcile.accept(out, worker.settings(spec), rebuild, say)
            before = reconcile.known_images(out, old, {t.shard.partition for t in tasks}, say)
            reconcile.vouch(tasks, before, old)
        there = [t for t in mine if t.shard.partition in before or state.read(out, t.shard.name)]
        checked = list(_run("check", "images", worker.check, there, workers, run))
        if pieces == 1:
            reconcile.tell_changes(_images(checked), before, say)
        kept = {r.task.shard.name: r for r in checked if r.note}
        refused = {r.task.shard.name: r.bad for r in checked if r.bad}
        known = kept.keys() | refused.keys()
        todo = [t for t in mine if t.shard.name not in known]
        _check_space(out, todo)
        if todo:
            with state.turn(out):
                reconcile.withdraw(out, todo)
        built = list(_run("build", "pairs", worker.run, todo, workers, run))
        _refuse(chain(*refused.values(), *(result.bad for result in built if not result.note)))
        if pieces == 1:
            state.sweep(out)  # what a worker was at when its machine was lost
        with state.turn(out):
            done = [*kept.values(), *built, *_of_others(tasks, mine)]
            return _finish(len(tasks), done, len(kept), list(left_out), out, say)


def summary(report: Report, out: Path) -> str:
    """What became of the set, in a line or two."""
    built = len(report.entries) - report.kept
    lines = [f"{out}: {built} shards built, {report.kept} were there already"]
    if report.bad:
        lines.append(f"{len(report.bad)} images left out, see {out / QUARANTINE}")
    if report.missing:
        lines.append(f"{report.missing} shards are still missing; the last piece completes the set")
    return "\n".join(lines)


def _engine(name: str) -> Engine:
    """What runs tasks; Misuse where its package is not installed."""
    if name == "local":
        return pool.run
    from pipeline.building import ray_engine

    return ray_engine.run


def _run(
    label: str, unit: str, work: Work, tasks: list[Task], workers: int | None, engine: Engine
) -> Iterator[Result]:
    """The results of all tasks as they come, with their progress in pairs or images."""
    if not tasks:
        return
    total = sum(t.planned if unit == "pairs" else len(t.shard.images) for t in tasks)
    with (
        Progress(label, total, unit) as progress,
        contextlib.closing(engine(work, tasks, workers)) as results,
    ):
        for result in results:
            made = result.note.entry.records if result.note else 0
            progress.advance(made if unit == "pairs" else len(result.hashes))
            yield result


def _refuse(images: Iterable[Bad]) -> None:
    """Fault that names all bad images, if there are any."""
    if bad := sorted(images):
        lines = "\n".join(f"  {path}: {reason}" for _, path, reason in bad)
        raise Fault(
            f"{len(bad)} images cannot be used; mend or remove them, or leave them out with "
            f"--skip-bad (make: SKIP_BAD=1). What does not need them is built and kept:\n{lines}"
        )


def _of_others(tasks: list[Task], mine: list[Task]) -> Iterator[Result]:
    """What other pieces finished, as far as their notes and their files' sizes show."""
    names = {t.shard.name for t in mine}
    for item in tasks:
        if item.shard.name in names or not (note := state.read(item.out, item.shard.name)):
            continue
        fits = len(note.hashes) == len(item.shard.images) and note.key == item.key(note.hashes)
        if fits and state.present(item.out, note.entry):
            yield Result(item, note, [], note.hashes)


def _images(results: Iterable[Result]) -> dict[str, dict[str, str]]:
    """Partition → image id → hash of its source."""
    found: dict[str, dict[str, str]] = {}
    for item, _, _, hashes in results:
        ids = [image.image_id for image in item.shard.images]
        found.setdefault(item.shard.partition, {}).update(zip(ids, hashes, strict=True))
    return found


def _finish(
    shards: int,
    done: list[Result],
    kept: int,
    left_out: list[Bad],
    out: Path,
    say: Say,
) -> Report:
    """Write quarantine and manifest if all shards are there, and remove what is no part of them."""
    notes = [result.note for result in done if result.note]
    entries = sorted((note.entry for note in notes), key=lambda entry: entry.name)
    bad = sorted([*left_out, *(b for note in notes for b in note.bad)])
    report = Report(entries, bad, kept, shards - len(notes))
    if not report.missing:
        images, old = _images(done), reconcile.known_manifest(out)
        rest = reconcile.without(old, images) if old else None
        store.write_sources(out, images)
        made = manifest.assemble(
            worker.settings(done[0].task.spec),
            images,
            [*(rest.shards if rest else ()), *entries],
            rest.partitions if rest else {},
        )
        quarantine.write(out, report.bad, set(images), say)
        store.write_manifest(out, made)
        reconcile.clean(out, set(images), made, say)
    return report


def _check_space(out: Path, tasks: list[Task]) -> None:
    """Fault where the shards to build do not fit on the disk."""
    needed = sum(size(t.planned, t.spec) for t in tasks)
    free = shutil.disk_usage(out).free
    if needed > free:
        raise Fault(
            f"{out}: the build needs {needed / 1e6:,.0f} MB, the disk has {free / 1e6:,.0f} MB free"
        )


def size(pairs: int, spec: PipelineSpec) -> int:
    """Bytes of a shard of so many pairs, an upper estimate."""
    return SHARD_BYTES + pairs * (2 * spec.size**2 + 9 * spec.grid**2 + TEXT_BYTES)
