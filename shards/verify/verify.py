"""Integrity of a shard set, from a look at its files to the meaning of every record.

    quick   the manifest, the lists of images; each shard there, of its size, with a sound footer
            and its count of records
    full    also the sha256 of each file; a file that has another is searched for damaged records
    deep    also each record decoded and its meaning checked: ranges, ids, map against visibility,
            map against images (shards.verify.check_correspondence), splits disjoint by person, no pair twice; of
            impostor pairs 16 a shard, drawn by its name, are searched for being one finger

Shards are checked one by one in several processes and their findings streamed, so that memory does
not grow with the set but for 40 bytes a record of one partition and one entry a person.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from shards import manifest as manifests
from shards import provenance, store
from shards.foundation import pool
from shards.foundation.errors import Finding
from shards.foundation.progress import Progress
from shards.manifest import Manifest, ShardEntry
from shards.verify.check_shard import Job, ShardReport, check_shard

LEVELS = ("quick", "full", "deep")
DRIFT = 0.05  # px, the furthest that maps may be off on average: what the format promises of each
DRIFT_FROM = 16  # pairs, fewer show no average
SILENT_SHARE = 1e-3  # of a partition's pairs of two impressions, of which nothing can be seen
POOL_FROM = {"quick": 2_000, "full": 20, "deep": 1}  # shards, from which processes pay


def verify(directory: Path, level: str = "full", workers: int | None = None) -> Generator[Finding]:
    """All that is wrong with the set in `directory`, as it is found; nothing where it is sound.

    level: of LEVELS. Misuse where there is no set; nothing that a set may hold raises. Close it
    where you stop early: its processes end then.
    """
    manifest, faults = store.inspect_manifest(directory)
    yield from (Finding(manifests.FILE, None, what) for what in faults)
    if manifest is None:
        return
    yield from _sources(directory, manifest)
    yield from _extra(directory, manifest)
    listed = {entry.name: entry for entry in manifest.shards}
    order = sorted(listed.values(), key=lambda entry: (entry.partition, entry.name))
    rest = replace(manifest, shards=())  # goes to each process, which is told its entries
    job = Job(os.path.realpath(directory), rest, level)
    names = {entry.sha256: entry.name for entry in order}
    whole = _Whole()
    with (
        Progress(f"verify {level}", len(order), "shards") as progress,
        closing(_reports(job, order, workers)) as reports,
    ):
        for report in reports:
            if report.sha256 is not None:
                yield _other_content(report, names)
            yield from report.findings
            yield from whole.take(report)
            progress.advance()
    yield from whole.finish()


class _Whole:
    """What no shard shows by itself: persons in two splits, pairs twice, maps off on average."""

    def __init__(self) -> None:
        self.persons: dict[str, tuple[ShardEntry, int]] = {}
        self.partition = ""
        self.entries: list[ShardEntry] = []
        self.records: list[np.ndarray] = []  # of this partition: uint64 [n, 3] a shard
        self.offsets: list[np.ndarray] = []  # of this partition: px [n, 2] a shard
        self.silent: list[Finding] = []  # of this partition
        self.impressions = 0  # pairs of two, of this partition

    def take(self, report: ShardReport) -> Iterator[Finding]:
        """One more shard; shards come by partition."""
        if report.entry.partition != self.partition:
            yield from self.finish()
            self.partition = report.entry.partition
        for name, number in report.persons.items():
            entry, record = self.persons.setdefault(name, (report.entry, number))
            if entry.split != report.entry.split:
                what = f"shows {name!r:.80}, who is in {entry.split} too ({entry.name} {record})"
                yield Finding(report.entry.name, number, what)
        if report.records:
            self.entries.append(report.entry)
            self.records.append(np.array(report.records, np.uint64))
        if report.offsets:
            self.offsets.append(np.array(report.offsets))
        self.silent += report.silent
        self.impressions += report.impressions

    def finish(self) -> Iterator[Finding]:
        """What the partition that ends here shows as a whole."""
        if self.records:
            yield from self._doubles()
        offsets = np.concatenate([np.empty((0, 2)), *self.offsets])
        if len(offsets) >= DRIFT_FROM:
            (x, y), error = offsets.mean(0), offsets.std(0) / len(offsets) ** 0.5
            if (np.abs([x, y]) > DRIFT + 4 * error).any():
                what = f"maps of its {len(offsets)} genuine pairs are off by ({x:.2f}, {y:.2f}) px"
                yield Finding(self.partition, None, what + " on average")
        if len(self.silent) > math.ceil(SILENT_SHARE * self.impressions):
            yield from self.silent
        self.entries, self.records, self.offsets, self.silent = [], [], [], []
        self.impressions = 0

    def _doubles(self) -> Iterator[Finding]:
        shard = np.repeat(np.arange(len(self.records)), [len(r) for r in self.records])
        records = np.concatenate(self.records)
        for column, name in ((1, "index"), (2, "images")):
            _, first, inverse = np.unique(
                records[:, column], return_index=True, return_inverse=True
            )
            for k in np.flatnonzero(first[inverse] != np.arange(len(records))):
                j = first[inverse[k]]
                what = f"has the {name} of {self.entries[shard[j]].name} record {records[j, 0]}"
                yield Finding(self.entries[shard[k]].name, int(records[k, 0]), what)


def _sources(directory: Path, manifest: Manifest) -> Iterator[Finding]:
    """What is wrong with the lists of the images."""
    for name, part in manifest.partitions.items():
        if what := provenance.check_file(directory, name, part.source_hash, part.images):
            yield Finding(provenance.file_name(name), None, what)


def _extra(directory: Path, manifest: Manifest) -> Iterator[Finding]:
    """Shard files that the manifest does not list."""
    known = {entry.name for entry in manifest.shards}
    for name in store.list_files(directory):
        if name not in known:
            shown = name.encode("utf-8", "backslashreplace").decode()
            yield Finding(shown, None, "is not in the manifest")


def _other_content(report: ShardReport, names: dict[str, str]) -> Finding:
    """The line of a shard whose sha256 is not the manifest's."""
    what = "holds other bytes than were written (sha256)"
    if other := names.get(str(report.sha256)):
        what += f": they are those of {other}"
    elif not report.findings:
        what += "; its records are whole, so it is stale or was changed outside of them"
    return Finding(report.entry.name, None, what)


def _reports(job: Job, entries: list[ShardEntry], workers: int | None) -> Generator[ShardReport]:
    """The reports of all shards, in order."""
    workers = workers or pool.cores()
    if workers == 1 or len(entries) <= POOL_FROM[job.level]:
        yield from (check_shard(job, entry) for entry in entries)
        return
    size = max(1, min(64, len(entries) // (8 * workers)))
    parts = [entries[k : k + size] for k in range(0, len(entries), size)]
    with closing(pool.run(functools.partial(_check, job), parts, workers)) as results:
        for reports in results:
            yield from reports


def _check(job: Job, entries: list[ShardEntry], stopped: Callable[[], bool]) -> list[ShardReport]:
    """The reports of these shards, till it is told to stop."""
    return [check_shard(job, entry, stopped) for entry in entries if not stopped()]
