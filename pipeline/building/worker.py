"""One shard from its images: what a worker does, on whatever machine it runs."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import plan
from pipeline.building import state
from pipeline.building.state import Bad, Note
from pipeline.imaging.file import Image, decode, read
from pipeline.imaging.warp import Warp
from pipeline.impression import Impression
from pipeline.pair import PreparedImpression, make_pair, prepare_impression
from pipeline.plan import ShardPlan
from pipeline.sources import generated
from pipeline.sources.synthetic import load_truth
from pipeline.spec import PipelineSpec
from shards import manifest, record, shard_file
from shards.foundation.errors import Fault
from shards.manifest import ShardEntry

METHOD = 10  # raised whenever the same spec and images give other bytes


class Stopped(Exception):
    """The build is to end; nothing of the shard at hand remains."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A shard to build, complete by itself."""

    shard: ShardPlan
    spec: PipelineSpec
    out: Path
    skip_bad: bool = False

    def key(self, hashes: Sequence[str]) -> str:
        """Hash of all that the shard's bytes follow from, if its images have these hashes."""
        named = zip(self.shard.images, self.shard.numbers, hashes, strict=True)
        images = [[i.image_id, i.finger, i.ppi, number, sha] for i, number, sha in named]
        return manifest.json_sha256([settings(self.spec), record.VERSION, self.shard.name, images])

    @property
    def planned(self) -> int:
        """Pairs that the shard holds when all its images are usable."""
        return sum(plan.count_pairs(self.shard, self.spec).values())


class Result(NamedTuple):
    """What became of a task."""

    task: Task
    note: Note | None  # of the finished shard; None where there is none
    bad: list[Bad]  # images that forbade it
    hashes: list[str]  # of all its images


def settings(spec: PipelineSpec) -> dict[str, Any]:
    """The part of a spec that the bytes of a shard depend on, as the manifest keeps it."""
    fields = dataclasses.asdict(spec)
    del fields["partitions"]  # a set may be built in several goes
    if not spec.fingers:
        for name in ("fingers", "impressions", "finger_seed"):
            del fields[name]
    return {"method": METHOD, **fields}


def check(task: Task, stopped: Callable[[], bool] = lambda: False) -> Result:
    """The shard's note, if it is there and all is as it was built from; always the images' hashes.

    Where images were left out of it that may not be, those and no note: a build would meet them
    again. Raises Stopped soon after `stopped()` is true.
    """
    hashes = []
    for impression in task.shard.images:
        if stopped():
            raise Stopped
        hashes.append(_source(impression, task.spec)[0])
    note = state.read(task.out, task.shard.name)
    if note is None or note.key != task.key(hashes) or not state.intact(task.out, note.entry):
        return Result(task, None, [], hashes)
    if note.bad and not task.skip_bad:
        return Result(task, None, note.bad, hashes)
    if not note.hashes:
        note = note._replace(hashes=hashes)
        state.write(task.out, note)
    return Result(task, note, [], hashes)


def run(task: Task, stopped: Callable[[], bool] = lambda: False) -> Result:
    """Build the shard. Raises Stopped soon after `stopped()` is true.

    An image that holds no usable fingerprint is bad; Fault where one has vanished, or the shard
    cannot be written.
    """
    opened = []
    for impression in task.shard.images:
        if stopped():
            raise Stopped
        opened.append(_open(impression, task.spec))
    hashes = [sha256 for sha256, _ in opened]
    bad = [found for _, found in opened if isinstance(found, Bad)]
    if bad and not task.skip_bad:
        return Result(task, None, bad, hashes)
    prints = {
        k: found for k, (_, found) in enumerate(opened) if isinstance(found, PreparedImpression)
    }

    def note(entry: ShardEntry) -> Note:
        return Note(task.key(hashes), entry, bad, hashes)

    # Noted just before it has its name: whenever a kill comes, what is there is known.
    path, records = task.out / task.shard.name, _records(task, prints, stopped)
    entry = shard_file.write_shard(path, records, lambda entry: state.write(task.out, note(entry)))
    return Result(task, note(entry), bad, hashes)


def _open(impression: Impression, spec: PipelineSpec) -> tuple[str, PreparedImpression | Bad]:
    """The hash of an image, and its print or what is wrong with it; Fault where it has vanished."""
    sha256, content = _source(impression, spec)
    try:
        if isinstance(content, Fault):
            raise content
        return sha256, prepare_impression(impression, *_show(impression, content, spec), spec)
    except Fault as fault:
        return sha256, _bad(impression, fault)


def _source(impression: Impression, spec: PipelineSpec) -> tuple[str, bytes | Fault]:
    """sha256 of what an impression is made of, and the bytes of its image.

    Of its image, then of the truth beside it if used; of nothing where that cannot be read, and
    then what is wrong. Of one that is drawn, of what its drawing follows from.
    """
    try:
        data, truth = _read(impression, spec)
    except Fault as fault:
        if not os.path.lexists(impression.path):
            raise
        return hashlib.sha256().hexdigest(), fault
    total = hashlib.sha256(data)
    total.update(truth)
    return total.hexdigest(), data


def _bad(impression: Impression, fault: Fault) -> Bad:
    reason = str(fault).removeprefix(f"{impression.path}: ")
    return Bad(impression.image_id, str(impression.path), reason)


def _records(
    task: Task, prints: dict[int, PreparedImpression], stopped: Callable[[], bool]
) -> Iterator[bytes]:
    """The records of all pairs whose images are usable and that show a common part."""
    for planned in plan.plan_pairs(task.shard, task.spec):
        if stopped():
            raise Stopped
        if planned.a in prints and planned.b in prints:
            a, b = prints[planned.a], prints[planned.b]
            pair = make_pair(a, b, planned.address, task.spec)
            if pair.visible.any() or not pair.genuine:
                yield record.encode(pair)


def _read(impression: Impression, spec: PipelineSpec) -> tuple[bytes, bytes]:
    """The bytes of the image, and of the truth beside it where it is used."""
    if impression.generator_address:
        return generated.identity(impression), b""
    truth = _truth(impression, spec)
    return read(impression.path), read(truth) if truth else b""


def _show(impression: Impression, data: bytes, spec: PipelineSpec) -> tuple[Image, Warp | None]:
    """The image in `data`, or drawn now, and its truth where it is used."""
    if impression.generator_address:
        return generated.synthesize(impression)
    truth = _truth(impression, spec)
    return decode(data, str(impression.path)), load_truth(truth) if truth else None


def _truth(impression: Impression, spec: PipelineSpec) -> Path | None:
    return impression.truth if spec.different_impressions else None
