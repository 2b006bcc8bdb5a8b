"""From selected impressions to a shard set on disk: parallel, resumable, always the same bytes."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pipeline import earlier, ledger, local, plan, task
from pipeline.impression import Impression
from pipeline.ledger import Bad
from pipeline.spec import PipelineSpec
from pipeline.split import limited
from pipeline.task import Result, Task
from shards import manifest, store
from shards.errors import Fault
from shards.manifest import Manifest, ShardEntry
from shards.progress import Progress

QUARANTINE = "quarantine.jsonl"
SHARD_BYTES = 131_072  # of an ArrayRecord file beside its records
TEXT_BYTES = 400  # of a record beside its arrays, at most


Say = Callable[[str], None]
Engine = Callable[[Callable[..., Result], Sequence[Task], int | None], Generator[Result]]


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
    with ledger.lock(out, f"{number}-of-{pieces}" if pieces > 1 else None), _interruptible():
        if pieces == 1:
            ledger.sweep(out)
        earlier.check_folders(out)
        old = earlier.accept(out, task.settings(spec), rebuild, say)
        chosen = limited(selection, spec)
        images = _hash_all(chosen, spec, workers or local.cores())
        earlier.tell_changes(images, old, say)
        tasks = [
            Task(s, tuple(images[s.partition][i.image_id] for i in s.images), spec, out, skip_bad)
            for s in plan.make_plan(chosen, spec)
        ]
        earlier.vouch(out, tasks, images, old)
        mine = tasks[number::pieces]
        _check_space(out, [t for t in mine if not _done(t)])
        earlier.withdraw(out, old, {t.shard.partition for t in tasks if not _done(t)})
        kept = _run(mine, workers, run)
        if pieces == 1:
            ledger.sweep(out)  # what a worker was at when its machine was lost
        return _finish(tasks, kept, list(left_out), images, old, out, say)


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
        return local.run
    from pipeline import ray_engine

    return ray_engine.run


def _run(tasks: list[Task], workers: int | None, engine: Engine) -> int:
    """Build what is not there; how many shards were. Fault that names all bad images."""
    bad: list[Bad] = []
    kept = 0
    with (
        Progress("build", sum(t.planned for t in tasks), "pairs") as progress,
        contextlib.closing(engine(task.run, tasks, workers)) as results,
    ):
        for result in results:
            kept += result.kept
            if result.entry:
                progress.advance(result.entry.records, kept=kept)
            else:
                bad += result.bad
    if bad:
        lines = "\n".join(f"  {path}: {reason}" for _, path, reason in sorted(bad))
        raise Fault(
            f"{len(bad)} images cannot be used; mend or remove them, or leave them out with "
            f"--skip-bad. What does not need them is built and kept:\n{lines}"
        )
    return kept


def _finish(
    tasks: list[Task],
    kept: int,
    left_out: list[Bad],
    images: Mapping[str, Mapping[str, str]],
    old: Manifest | None,
    out: Path,
    say: Say,
) -> Report:
    """Write manifest and quarantine if all shards are there, and remove what is no part of them."""
    notes = [note for t in tasks if (note := _done(t))]
    entries = sorted((note.entry for note in notes), key=lambda entry: entry.name)
    bad = sorted([*left_out, *(b for note in notes for b in note.bad)])
    report = Report(entries, bad, kept, len(tasks) - len(notes))
    if not report.missing:
        rest = earlier.without(old, images) if old else None
        sources = {name: item.images for name, item in rest.partitions.items()} if rest else {}
        made = manifest.assemble(
            task.settings(tasks[0].spec),
            {**sources, **images},
            [*(rest.shards if rest else ()), *entries],
        )
        store.write_manifest(out, made)
        _quarantine(out, report.bad, set(images))
        earlier.clean(out, set(images), made, say)
    return report


def _done(item: Task) -> ledger.Note | None:
    """The note of a shard that is finished, as far as its file's size shows."""
    note = ledger.read(item.out, item.shard.name, item.key)
    return note if note and ledger.present(item.out, note.entry) else None


def _hash_all(
    selection: Mapping[str, Sequence[Impression]], spec: PipelineSpec, workers: int
) -> dict[str, dict[str, str]]:
    """Partition → image id → hash of its source."""
    everything = [i for impressions in selection.values() for i in impressions]
    found: dict[str, dict[str, str]] = {name: {} for name in selection}
    with (
        Progress("read", len(everything), "images") as progress,
        ThreadPoolExecutor(workers) as pool,
    ):
        try:
            hashes = pool.map(lambda i: task.source_hash(i, spec), everything)
            for impression, sha256 in zip(everything, hashes, strict=True):
                found[impression.partition][impression.image_id] = sha256
                progress.advance()
        finally:
            pool.shutdown(cancel_futures=True)
    return found


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


def _quarantine(out: Path, bad: list[Bad], built: set[str]) -> None:
    """OUT/quarantine.jsonl: the images left out, also those of partitions not built now."""
    path = out / QUARANTINE
    lines = path.read_text().splitlines() if path.exists() else []
    others = [Bad(**json.loads(line)) for line in lines]
    others = [b for b in others if b.image_id.rpartition("/")[0] not in built]
    if bad or others:
        path.write_text("".join(json.dumps(b._asdict()) + "\n" for b in sorted([*bad, *others])))
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the build with a Fault that says what to do."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, interrupt) if main else None
    try:
        yield
    except KeyboardInterrupt as error:
        raise Fault("stopped; finished shards are kept, the same command goes on") from error
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
