"""Build of a shard set: parallel, resumable, always to the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pipeline import plan
from pipeline.building import estimate, quarantine, reconcile, state, worker
from pipeline.building.engine import load_engine, run_tasks
from pipeline.building.lock import lock_manifest, lock_output
from pipeline.building.state import BadImage
from pipeline.building.worker import ShardResult, ShardTask
from pipeline.impression import Impression
from pipeline.spec import PipelineSpec
from pipeline.split import limit_training_images
from shards import manifest, store
from shards.foundation import files, pool
from shards.foundation.errors import Fault
from shards.foundation.printable import counted
from shards.info import QUARANTINE
from shards.manifest import ShardEntry

Warn = Callable[[str], None]


@dataclass(frozen=True)
class BuildOptions:
    """How a set is built; none of it changes the bytes of a shard with the same images.

    Attributes:
        workers: processes at the same time; None for one per core.
        piece: (i, N) builds every N-th shard from the i-th on.
        skip_bad: build without images that cannot be used, and list them in quarantine.jsonl.
        left_out: images that the selection left out already, for the same list.
        rebuild: replace a set that was built with other settings.
        engine: "local" (processes of this machine) or "ray" (a cluster).
    """

    workers: int | None = None
    piece: tuple[int, int] = (0, 1)
    skip_bad: bool = False
    left_out: tuple[BadImage, ...] = ()
    rebuild: bool = False
    engine: str = "local"


@dataclass(frozen=True)
class BuildReport:
    """Outcome of a build.

    Attributes:
        entries: finished shards of the selected partitions, sorted by name.
        bad: images that they were built without.
        finished_before: number of shards that were finished before this build, or by other pieces.
        missing: number of shards that other pieces still have to build. The manifest is written
            when it is 0.
    """

    entries: list[ShardEntry]
    bad: list[BadImage]
    finished_before: int
    missing: int


def build(
    spec: PipelineSpec,
    selection: Mapping[str, Sequence[Impression]],
    out: Path,
    options: BuildOptions = BuildOptions(),
    warn: Warn = lambda message: None,
) -> BuildReport:
    """Build the shards of the selected partitions, or complete them.

    Finished shards of the same images and settings are kept; other partitions are not touched.

    Args:
        spec: settings of the set.
        selection: partition → its impressions.
        out: folder of the set.
        options: processes, piece, handling of bad images and of other settings.
        warn: receives messages for the user.

    Raises:
        Fault: images cannot be used (all are named), `out` was built with other settings, another
            build is writing there, or the disk is full.
        Misuse: `out` is a file, or the engine is not installed.
    """
    number, pieces = options.piece
    engine = load_engine(options.engine)
    reconcile.refuse_linked_folders(out)
    with (
        lock_output(out, f"{number}-of-{pieces}" if pieces > 1 else None),
        pool.interruptible("finished shards"),
    ):
        if pieces == 1:
            state.delete_temporary_files(out)
        shards = plan.plan_shards(limit_training_images(selection, spec), spec)
        tasks = [ShardTask(shard, spec, out, options.skip_bad) for shard in shards]
        own = tasks[number::pieces]
        before = _load_earlier_builds(out, spec, tasks, options.rebuild, warn)
        existing = [
            task
            for task in own
            if task.shard.partition in before or state.read(out, task.shard.name)
        ]
        checked = list(
            run_tasks("check", "images", worker.check_shard, existing, options.workers, engine)
        )
        if pieces == 1:
            reconcile.warn_of_changed_images(_source_hashes(checked), before, warn)
        intact = {result.task.shard.name: result for result in checked if result.state}
        refused = {result.task.shard.name: result.bad for result in checked if result.bad}
        missing = [task for task in own if task.shard.name not in intact.keys() | refused.keys()]
        _check_space(out, missing)
        if missing:
            with lock_manifest(out):
                reconcile.withdraw_shards(out, missing)
        built = list(
            run_tasks("build", "pairs", worker.build_shard, missing, options.workers, engine)
        )
        bad = chain(*refused.values(), *(result.bad for result in built if not result.state))
        _report_notes(built, warn)
        _refuse_bad_images(bad)
        if pieces == 1:
            state.delete_temporary_files(out)  # of workers whose machine was lost
        with lock_manifest(out):
            kept = [*intact.values(), *_read_other_pieces(tasks, own)]
            return _finish([*kept, *built], len(tasks), len(kept), out, options.left_out, warn)


def summarize(report: BuildReport, out: Path) -> str:
    """Summarize a build in up to three lines."""
    built = len(report.entries) - report.finished_before
    lines = [f"{out}: {counted(built, 'shard')} built, {report.finished_before} there already"]
    if report.bad:
        lines.append(f"{counted(len(report.bad), 'image')} left out, see {out / QUARANTINE}")
    if report.missing:
        lines.append(
            f"{counted(report.missing, 'shard')} still missing; the last piece completes the set"
        )
    return "\n".join(lines)


def _load_earlier_builds(
    out: Path, spec: PipelineSpec, tasks: Sequence[ShardTask], rebuild: bool, warn: Warn
) -> reconcile.Images:
    """Check the settings of earlier builds; return the images of the partitions they built."""
    with lock_manifest(out):
        old = reconcile.check_settings(out, worker.shard_settings(spec), rebuild, warn)
        partitions = {task.shard.partition for task in tasks}
        before = reconcile.read_images(out, old, partitions, warn)
        reconcile.restore_states(tasks, before, old)
    return before


def _report_notes(results: Iterable[ShardResult], warn: Warn) -> None:
    """Say how images were read where that was a choice: each remark once, with an example."""
    paths: dict[str, list[str]] = {}
    for path, note in chain.from_iterable(result.notes for result in results):
        paths.setdefault(note, []).append(path)
    for note, examples in sorted(paths.items()):
        warn(f"{counted(len(examples), 'image')}: {note}, such as {min(examples)}")


def _refuse_bad_images(images: Iterable[BadImage]) -> None:
    """Raise a Fault that names all images, if there are any."""
    bad = sorted(images)
    if bad:
        lines = "\n".join(f"  {image.path}: {image.reason}" for image in bad)
        raise Fault(
            f"{counted(len(bad), 'image')} cannot be used; mend or remove them, or leave them out"
            f" with --skip-bad (make: SKIP_BAD=1). Shards without them are built and kept:\n{lines}"
        )


def _read_other_pieces(
    tasks: Sequence[ShardTask], own: Sequence[ShardTask]
) -> Iterator[ShardResult]:
    """Yield the shards that other pieces finished, by their states and their files' sizes."""
    names = {task.shard.name for task in own}
    for task in tasks:
        finished = state.read(task.out, task.shard.name)
        if task.shard.name in names or finished is None:
            continue
        same_images = len(finished.hashes) == len(task.shard.images)
        same_key = same_images and finished.key == task.key(finished.hashes)
        if same_key and state.has_size(task.out, finished.entry):
            yield ShardResult(task, finished, [], finished.hashes)


def _source_hashes(results: Iterable[ShardResult]) -> dict[str, dict[str, str]]:
    """Return partition → image id → sha256 of its source."""
    images: dict[str, dict[str, str]] = {}
    for result in results:
        shard = result.task.shard
        ids = [image.image_id for image in shard.images]
        images.setdefault(shard.partition, {}).update(zip(ids, result.hashes, strict=True))
    return images


def _finish(
    finished: Sequence[ShardResult],
    planned: int,
    finished_before: int,
    out: Path,
    left_out: Iterable[BadImage],
    warn: Warn,
) -> BuildReport:
    """Write the manifest and quarantine.jsonl if all planned shards are finished."""
    states = [result.state for result in finished if result.state]
    entries = sorted((finished.entry for finished in states), key=lambda entry: entry.name)
    bad = sorted([*left_out, *chain.from_iterable(finished.bad for finished in states)])
    report = BuildReport(entries, bad, finished_before, planned - len(states))
    if not report.missing:
        _write_manifest(finished, report, out, warn)
    return report


def _write_manifest(
    finished: Sequence[ShardResult], report: BuildReport, out: Path, warn: Warn
) -> None:
    """Write the lists of images, quarantine.jsonl and the manifest; delete stale shards."""
    images, old = _source_hashes(finished), reconcile.read_manifest(out)
    others = reconcile.without_partitions(old, images) if old else None
    store.write_sources(out, images)
    new = manifest.assemble(
        worker.shard_settings(finished[0].task.spec),
        images,
        [*(others.shards if others else ()), *report.entries],
        others.partitions if others else {},
        _merge_libraries(finished),
    )
    quarantine.write(out, report.bad, set(images), warn)
    store.write_manifest(out, new)
    reconcile.delete_stale_shards(out, set(images), new, warn)


def _merge_libraries(finished: Iterable[ShardResult]) -> dict[str, dict[str, str]]:
    """Return for each partition the versions of the libraries that built its shards."""
    merged: dict[str, dict[str, set[str]]] = {}
    for result in finished:
        libraries = merged.setdefault(result.task.shard.partition, {})
        for name, version in (result.state.libraries if result.state else {}).items():
            libraries.setdefault(name, set()).add(version)
    return {
        partition: {name: ", ".join(sorted(versions)) for name, versions in libraries.items()}
        for partition, libraries in merged.items()
    }


def _check_space(out: Path, tasks: Iterable[ShardTask]) -> None:
    """Raise a Fault where the disk has less space than the shards need."""
    needed = sum(estimate.shard_bytes(task.planned_pairs, task.spec) for task in tasks)
    files.check_space(out, needed, "the build")
