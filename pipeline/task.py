"""One shard from its images: what a worker does, on whatever machine it runs."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import ledger, plan
from pipeline.impression import Impression
from pipeline.ledger import Bad
from pipeline.pair import Print, make_pair, open_print
from pipeline.plan import ShardPlan
from pipeline.preprocess import Image, decode, read
from pipeline.sources import drawn
from pipeline.sources.synthetic import load_truth
from pipeline.spec import PipelineSpec
from pipeline.warp import Warp
from shards import manifest, record, store
from shards.errors import Fault
from shards.manifest import ShardEntry

METHOD = 8  # raised whenever the same spec and images give other bytes


class Stopped(Exception):
    """The build is to end; nothing of the shard at hand remains."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A shard to build, complete by itself."""

    shard: ShardPlan
    hashes: tuple[str, ...]  # of the shard's images, see `source_hash`
    spec: PipelineSpec
    out: Path
    skip_bad: bool = False

    @property
    def key(self) -> str:
        """Hash of all that the shard's bytes follow from."""
        named = zip(self.shard.images, self.shard.numbers, self.hashes, strict=True)
        images = [[i.image_id, i.finger, i.ppi, number, sha] for i, number, sha in named]
        return manifest.digest([settings(self.spec), record.VERSION, self.shard.name, images])

    @property
    def planned(self) -> int:
        """Pairs that the shard holds when all its images are usable."""
        return sum(plan.counts(self.shard, self.spec).values())


class Result(NamedTuple):
    """What became of a task: no entry where bad images forbade it."""

    entry: ShardEntry | None
    bad: list[Bad]
    kept: bool  # it was there already


def settings(spec: PipelineSpec) -> dict[str, Any]:
    """The part of a spec that the bytes of a shard depend on, as the manifest keeps it."""
    fields = dataclasses.asdict(spec)
    del fields["partitions"]  # a set may be built in several goes
    if not spec.fingers:
        for name in ("fingers", "impressions", "finger_seed"):
            del fields[name]
    return {"method": METHOD, **fields}


def source_hash(impression: Impression, spec: PipelineSpec) -> str:
    """sha256 of what is read of an impression: its image, then the truth beside it if used.

    That of nothing where it cannot be read; then the image is bad. Of one that is drawn, of what
    its drawing follows from.
    """
    try:
        return _hash(*_read(impression, spec))
    except Fault:
        return _hash(b"", b"")


def run(task: Task, stopped: Callable[[], bool] = lambda: False) -> Result:
    """Build the shard, or find it as it must be. Raises Stopped soon after `stopped()` is true.

    An image that holds no usable fingerprint is bad; Fault where one has vanished or changed, or
    the shard cannot be written.
    """
    done = ledger.read(task.out, task.shard.name, task.key)
    if done and (task.skip_bad or not done.bad) and ledger.intact(task.out, done.entry):
        return Result(done.entry, done.bad, kept=True)
    prints, bad = _open_all(task, stopped)
    if bad and not task.skip_bad:
        return Result(None, bad, kept=False)
    records = _records(task, prints, stopped)
    entry = store.write_shard(task.out / task.shard.name, records)
    ledger.write(task.out, task.key, ledger.Note(entry, bad))
    return Result(entry, bad, kept=False)


def _open_all(task: Task, stopped: Callable[[], bool]) -> tuple[dict[int, Print], list[Bad]]:
    """The usable prints by position among the shard's images, and the bad images."""
    opened: dict[int, Print | Bad] = {}
    for k, impression in enumerate(task.shard.images):
        if stopped():
            raise Stopped
        opened[k] = _open(impression, task.hashes[k], task.spec)
    prints = {k: found for k, found in opened.items() if isinstance(found, Print)}
    return prints, [found for found in opened.values() if isinstance(found, Bad)]


def _open(impression: Impression, sha256: str, spec: PipelineSpec) -> Print | Bad:
    """The print, or what is wrong with its image; Fault where that has vanished or changed."""
    try:
        data, sidecar = _read(impression, spec)
    except Fault as fault:
        if sha256 != _hash(b"", b""):
            raise
        return _bad(impression, fault)
    if _hash(data, sidecar) != sha256:
        raise Fault(f"{impression.path}: changed while the set was built; start again")
    try:
        return open_print(impression, *_show(impression, data, spec), spec)
    except Fault as fault:
        return _bad(impression, fault)


def _bad(impression: Impression, fault: Fault) -> Bad:
    reason = str(fault).removeprefix(f"{impression.path}: ")
    return Bad(impression.image_id, str(impression.path), reason)


def _records(task: Task, prints: dict[int, Print], stopped: Callable[[], bool]) -> Iterator[bytes]:
    """The records of all pairs whose images are usable and that show a common part."""
    for planned in plan.pairs(task.shard, task.spec):
        if stopped():
            raise Stopped
        if planned.a in prints and planned.b in prints:
            a, b = prints[planned.a], prints[planned.b]
            pair = make_pair(a, b, planned.address, task.spec)
            if pair.visible.any() or not pair.genuine:
                yield record.encode(pair)


def _read(impression: Impression, spec: PipelineSpec) -> tuple[bytes, bytes]:
    """The bytes of the image, and of the truth beside it where it is used."""
    if impression.drawn:
        return drawn.identity(impression), b""
    truth = _truth(impression, spec)
    return read(impression.path), read(truth) if truth else b""


def _show(impression: Impression, data: bytes, spec: PipelineSpec) -> tuple[Image, Warp | None]:
    """The image in `data`, or drawn now, and its truth where it is used."""
    if impression.drawn:
        return drawn.draw(impression)
    truth = _truth(impression, spec)
    return decode(data, str(impression.path)), load_truth(truth) if truth else None


def _truth(impression: Impression, spec: PipelineSpec) -> Path | None:
    return impression.truth if spec.different_impressions else None


def _hash(data: bytes, truth: bytes) -> str:
    total = hashlib.sha256(data)
    total.update(truth)
    return total.hexdigest()
