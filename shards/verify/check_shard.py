"""The check of one shard by itself: its file, its bytes, the meaning of its records."""

from __future__ import annotations

import functools
import hashlib
import itertools
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader

from shards import provenance, shard_file
from shards.foundation import files
from shards.foundation.errors import Fault, Finding
from shards.manifest import Manifest, ShardEntry
from shards.record import Pair, decode, person_of_finger
from shards.verify import check_correspondence, check_record

IMPOSTORS = 16  # a shard, drawn to be searched for being one finger after all: 8 ms each


@dataclass(frozen=True)
class Job:
    """What all shards are checked against."""

    root: str  # the real path of the set
    manifest: Manifest  # its spec and partitions
    level: str


@dataclass
class ShardReport:
    """What the check of one shard found, and what must be compared with other shards."""

    entry: ShardEntry
    findings: list[Finding] = field(default_factory=list)
    sha256: str | None = None  # where it is not the manifest's
    persons: dict[str, int] = field(default_factory=dict)  # → the first record that shows them
    records: list[tuple[int, int, int]] = field(default_factory=list)  # number, index, digest
    offsets: list[tuple[float, float]] = field(default_factory=list)  # px, of right maps
    silent: list[Finding] = field(default_factory=list)  # faults if they are many
    impressions: int = 0  # pairs of two
    counts: Counter[str] = field(default_factory=Counter)  # "kind/noise" → records

    def add(self, record: int | None, what: str) -> None:
        """One more finding."""
        self.findings.append(Finding(self.entry.name, record, what))


def check_shard(
    job: Job, entry: ShardEntry, stopped: Callable[[], bool] = lambda: False
) -> ShardReport:
    """The check of one shard by itself, which ends soon after `stopped()` is true."""
    report = ShardReport(entry)
    if what := shard_file.check_file(job.root, entry):
        report.add(None, what)
    elif job.level != "quick":
        path = Path(job.root, entry.name)
        try:
            found = files.sha256(path)
            report.sha256 = found if found != entry.sha256 else None
            if report.sha256 is not None or job.level == "deep":
                _read(job, report, shard_file.open_reader(path, entry.records), stopped)
        except OSError as error:
            report.add(None, f"cannot be read: {error.strerror}")
        except Fault as fault:
            report.add(None, str(fault))
    return report


def _read(
    job: Job, report: ShardReport, reader: ArrayRecordReader, stopped: Callable[[], bool]
) -> None:
    impostors, drawn = 0, _drawn_impostors(report.entry)
    for number, pair in itertools.takewhile(lambda _: not stopped(), _pairs(reader)):
        if isinstance(pair, Fault):
            report.add(number, str(pair))
        elif job.level == "deep":
            _compare_later(report, number, pair)
            impostors += not pair.genuine
            faults = list(_meaning(job, report.entry, pair))
            if not faults and pair.genuine:
                faults = _agreement(report, number, pair)
            elif not faults and impostors in drawn:
                faults = _impostor(pair)
            for what in faults:
                report.add(number, what)
    _compare_counts(report)
    reader.close()


def _drawn_impostors(entry: ShardEntry) -> set[int]:
    """Which of a shard's impostor pairs are searched, counted from 1: drawn by its name."""
    total = sum(n for sort, n in entry.counts.items() if sort.startswith("impostor/"))
    rng = np.random.default_rng(zlib.crc32(entry.name.encode()))
    return set((1 + rng.permutation(total)[:IMPOSTORS]).tolist())


def _compare_counts(report: ShardReport) -> None:
    """Other kinds of pairs than the manifest counts, where all records were read."""
    found, said = report.counts, Counter(report.entry.counts)
    if found.total() == said.total() and found != said:
        held, told = (", ".join(f"{n} {s}" for s, n in sorted(c.items())) for c in (found, said))
        report.add(None, f"holds {held}; the manifest says {told}")


def _pairs(reader: ArrayRecordReader) -> Iterator[tuple[int, Pair | Fault]]:
    """(number, pair or what is wrong with it) of every record, the damaged ones by themselves."""
    total = reader.num_records()
    for start in range(0, total, 128):
        numbers = list(range(start, min(start + 128, total)))
        try:
            block: list[bytes | Fault] = [*shard_file.read_records(reader, numbers)]
        except Fault:
            block = [_one(reader, number) for number in numbers]
        for number, data in zip(numbers, block, strict=True):
            try:
                yield number, data if isinstance(data, Fault) else decode(data)
            except Fault as fault:
                yield number, fault


def _one(reader: ArrayRecordReader, number: int) -> bytes | Fault:
    try:
        return shard_file.read_records(reader, [number])[0]
    except Fault as fault:
        return fault


def _meaning(job: Job, entry: ShardEntry, pair: Pair) -> Iterator[str]:
    partition = job.manifest.partitions.get(entry.partition)
    known = (partition.source_hash, partition.images) if partition else None
    images = _images(job.root, entry.partition, *known) if known else None
    return check_record.faults(pair, entry.partition, job.manifest.spec, images)


@functools.lru_cache(maxsize=1)  # shards come by partition
def _images(root: str, partition: str, sha256: str, count: int) -> Collection[str] | None:
    """The ids of a partition's images; None where they cannot be known, which is told elsewhere."""
    try:
        return provenance.read(Path(root), partition, sha256, count).keys()
    except Fault:
        return None


def _agreement(report: ShardReport, number: int, pair: Pair) -> list[str]:
    found = check_correspondence.measure(pair)
    what = check_correspondence.fault_of(pair, found)
    report.impressions += pair.kind == "genuine-impressions"
    if what is None:
        report.offsets.append((found.x, found.y))
    elif check_correspondence.is_silent(pair, what):
        if check_correspondence.in_common(
            pair
        ).any():  # else they show different parts of the finger
            report.silent.append(Finding(report.entry.name, number, what))
        return []
    return [what] if what else []


def _impostor(pair: Pair) -> list[str]:
    found = check_correspondence.search(pair.image_a, pair.image_b)
    return [f"is an impostor pair whose images agree ({found:.2f})"] * (
        found >= check_correspondence.FOUND
    )


def _compare_later(report: ShardReport, number: int, pair: Pair) -> None:
    digest = hashlib.sha256(pair.image_a.data)
    digest.update(pair.image_b.data)
    report.counts[f"{pair.kind}/{pair.noise}"] += 1
    report.records.append((number, pair.index, int.from_bytes(digest.digest()[:8], "little")))
    for finger in (pair.finger_a, pair.finger_b):
        report.persons.setdefault(person_of_finger(finger), number)
