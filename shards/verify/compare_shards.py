"""Compare the shards of a set: persons in two splits, repeated pairs, drift of the maps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import KDTree

from shards.foundation.errors import Finding
from shards.manifest import ShardEntry
from shards.record import Pair
from shards.verify.check_shard import THUMBNAIL_STEP, ShardReport


@dataclass(frozen=True)
class SetComparisonParameters:
    """Limits for the pairs of one partition."""

    drift: float = 0.05  # px, largest mean offset of maps; the record format allows 0.05 per map
    drift_deviations: float = 4.0  # of the mean's own error, added to the drift; chosen
    drift_pairs: int = 16  # pairs from which a mean is computed; chosen
    # Share of pairs of two impressions that may agree nowhere: docs/LOG.md, 2026-11-23, "The
    # network on the new fingers (VERSION 5)".
    inconclusive_share: float = 1e-3
    # Share and number of the pairs of a kind that may be slivers; measured: 1 of 720 pairs of two
    # impressions, none of 1,200 pairs of one image.
    sliver_share: float = 0.05
    slivers: int = 3
    # Grey levels by which px of two records may differ that count as one; their thumbnails differ
    # by no more, apart from rounding.
    repeated_difference: int = 1
    neighbours: int = 3  # thumbnails that are compared with each one; chosen


DEFAULT = SetComparisonParameters()


class ShardComparison:
    """Compares shards whose reports come one by one, sorted by partition.

    It keeps 72 bytes per record of the present partition, and one entry per person of the set.

    Args:
        read: returns record `number` of a shard, or None where it cannot be read; records whose
            images may be the same are read again.
        parameters: limits.
    """

    def __init__(
        self,
        read: Callable[[ShardEntry, int], Pair | None] = lambda entry, number: None,
        parameters: SetComparisonParameters = DEFAULT,
    ) -> None:
        self.read, self.parameters = read, parameters
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
            self.thumbnails.append(np.array(report.thumbnails, np.uint16).reshape(-1, 16))
        if report.offsets:
            self.offsets.append(np.array(report.offsets))
        self.inconclusive += report.inconclusive
        self.impressions += report.impressions
        self.slivers += report.slivers
        for key, number in report.counts.items():
            self.kinds[key.partition("/")[0]] += number

    def finish(self) -> Iterator[Finding]:
        """Yield the faults of the partition whose last shard was added."""
        if self.records:
            repeated = set(self._find_repeated_pairs())
            yield from sorted(repeated, key=str)
            yield from self._find_nearly_repeated_pairs({f[:2] for f in repeated})
        yield from self._check_slivers()
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
        self.thumbnails: list[np.ndarray] = []  # uint16 [n, 16] per shard
        self.inconclusive: list[Finding] = []
        self.impressions = 0
        self.slivers: Counter[str] = Counter()  # by kind
        self.kinds: Counter[str] = Counter()  # number of records by kind

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

    def _find_nearly_repeated_pairs(
        self, known: Collection[tuple[str, int | None]]
    ) -> Iterator[Finding]:
        """Yield each record whose images an earlier one has up to a grey level.

        Only records with similar thumbnails of image B are read again.
        """
        thumbnails = np.concatenate(self.thumbnails).astype(np.float64)
        shards = np.repeat(np.arange(len(self.records)), [len(r) for r in self.records])
        numbers = np.concatenate(self.records)[:, 0].astype(int)
        limit = (self.parameters.repeated_difference / THUMBNAIL_STEP) + 1.5  # rounding of both
        neighbours = KDTree(thumbnails).query(
            thumbnails, self.parameters.neighbours, p=np.inf, distance_upper_bound=limit
        )[1]
        for k, row in enumerate(neighbours):
            for j in row[row < k].tolist():
                later, earlier = (self.entries[shards[i]] for i in (k, j))
                number, other = int(numbers[k]), int(numbers[j])
                if (later.name, number) in known:
                    continue
                if self._are_alike(self.read(later, number), self.read(earlier, other)):
                    message = f"has the images of {earlier.name} record {other}, up to a grey level"
                    yield Finding(later.name, number, message)
                    break

    def _are_alike(self, a: Pair | None, b: Pair | None) -> bool:
        """Return whether both images of two pairs are the same up to a grey level."""
        if a is None or b is None or a.image_a.shape != b.image_a.shape:
            return False
        images = ((a.image_a, b.image_a), (a.image_b, b.image_b))
        largest = max(int(cv2.absdiff(one, other).max()) for one, other in images)
        return largest <= self.parameters.repeated_difference

    def _check_slivers(self) -> Iterator[Finding]:
        """Compare the number of pairs with hardly a visible cell with its limit."""
        for kind, slivers in sorted(self.slivers.items()):
            limit = max(self.parameters.slivers, self.parameters.sliver_share * self.kinds[kind])
            if slivers > limit:
                message = (
                    f"has hardly a visible cell in {slivers} of {self.kinds[kind]} {kind} pairs"
                )
                yield Finding(self.partition, None, message)

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
