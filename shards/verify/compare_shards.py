"""Compare the shards of a set: persons in two splits, repeated pairs, drift of the maps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shards.foundation.errors import Finding
from shards.manifest import ShardEntry
from shards.verify.check_shard import ShardReport


@dataclass(frozen=True)
class ComparisonParameters:
    """Limits for the pairs of one partition."""

    drift: float = 0.05  # px, largest mean offset of maps; the record format allows 0.05 per map
    drift_deviations: float = 4.0  # of the mean's own error, added to the drift; chosen
    drift_pairs: int = 16  # pairs from which a mean is computed; chosen
    # Share of pairs of two impressions that may agree nowhere: docs/LOG.md, 2026-11-23, The
    # network on the new fingers (VERSION 5).
    inconclusive_share: float = 1e-3


DEFAULT = ComparisonParameters()


class ShardComparison:
    """Compares shards whose reports come one by one, sorted by partition.

    It keeps 40 bytes per record of the present partition, and one entry per person of the set.
    """

    def __init__(self, parameters: ComparisonParameters = DEFAULT) -> None:
        self.parameters = parameters
        self.persons: dict[str, tuple[ShardEntry, int]] = {}  # → first shard and record
        self.partition = ""
        self._clear()

    def add(self, report: ShardReport) -> Iterator[Finding]:
        """Add the report of one shard; yield what it completes."""
        if report.entry.partition != self.partition:
            yield from self.finish()
            self.partition = report.entry.partition
        yield from self._check_persons(report)
        if report.records:
            self.entries.append(report.entry)
            self.records.append(np.array(report.records, np.uint64))
        if report.offsets:
            self.offsets.append(np.array(report.offsets))
        self.inconclusive += report.inconclusive
        self.impressions += report.impressions

    def finish(self) -> Iterator[Finding]:
        """Yield the faults of the partition whose last shard was added."""
        if self.records:
            yield from self._find_repeated_pairs()
        yield from self._check_drift()
        share = self.parameters.inconclusive_share
        if len(self.inconclusive) > math.ceil(share * self.impressions):
            yield from self.inconclusive
        self._clear()

    def _clear(self) -> None:
        """Forget the present partition."""
        self.entries: list[ShardEntry] = []
        self.records: list[np.ndarray] = []  # uint64 [n, 3] per shard, of ShardReport.records
        self.offsets: list[np.ndarray] = []  # px [n, 2] per shard
        self.inconclusive: list[Finding] = []
        self.impressions = 0

    def _check_persons(self, report: ShardReport) -> Iterator[Finding]:
        for name, number in report.persons.items():
            entry, record = self.persons.setdefault(name, (report.entry, number))
            if entry.split != report.entry.split:
                message = f"shows {name!r:.80}, who is in {entry.split} too ({entry.name} {record})"
                yield Finding(report.entry.name, number, message)

    def _find_repeated_pairs(self) -> Iterator[Finding]:
        """Yield each record whose index or images an earlier record of the partition has."""
        shards = np.repeat(np.arange(len(self.records)), [len(r) for r in self.records])
        records = np.concatenate(self.records)
        for column, name in ((1, "index"), (2, "images")):
            _, first, inverse = np.unique(
                records[:, column], return_index=True, return_inverse=True
            )
            for k in np.flatnonzero(first[inverse] != np.arange(len(records))):
                j = first[inverse[k]]
                message = f"has the {name} of {self.entries[shards[j]].name} record {records[j, 0]}"
                yield Finding(self.entries[shards[k]].name, int(records[k, 0]), message)

    def _check_drift(self) -> Iterator[Finding]:
        """Compare the mean offset of all maps with its limit."""
        offsets = np.concatenate([np.empty((0, 2)), *self.offsets])
        if len(offsets) < self.parameters.drift_pairs:
            return
        mean, error = offsets.mean(0), offsets.std(0) / len(offsets) ** 0.5
        limit = self.parameters.drift + self.parameters.drift_deviations * error
        if (np.abs(mean) > limit).any():
            message = (
                f"maps of its {len(offsets)} genuine pairs are off by"
                f" ({mean[0]:.2f}, {mean[1]:.2f}) px on average"
            )
            yield Finding(self.partition, None, message)
