"""Build records of a set again from their images, and compare them byte by byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from pipeline.building import worker
from pipeline.building.state import BadImage
from pipeline.pair import CroppedImpression, make_pair
from pipeline.plan import PairPlan, ShardPlan
from pipeline.spec import PipelineSpec
from shards import record
from shards.foundation.errors import Fault
from shards.record import Pair

ARRAYS = ("image_a", "image_b", "map_ab", "visible", "to_original_a", "to_original_b")
VALUES = ("kind", "noise", *record.TEXT_FIELDS, "seed", "index")


class Rebuilder:
    """Builds the pairs of a shard again; each of its images is prepared at most once.

    Args:
        shard: the plan.
        spec: settings of the set.
        hashes: sha256 of the source of each image, as the set lists them: image id → sha256.
    """

    def __init__(self, shard: ShardPlan, spec: PipelineSpec, hashes: Mapping[str, str]) -> None:
        self.shard, self.spec, self.hashes = shard, spec, hashes
        self._images: dict[int, CroppedImpression | str] = {}  # or what is wrong with it

    def compare(self, planned: PairPlan, data: bytes) -> list[str]:
        """Build a pair again and compare it with its record.

        Returns:
            No message where all bytes are equal, else one.
        """
        if message := self._first_fault((planned.a, planned.b)):
            return [message]
        rebuilt = record.encode(self._make(planned))
        return [] if rebuilt == data else [describe_difference(data, rebuilt)]

    def is_omitted(self, planned: PairPlan) -> bool:
        """Return whether a build leaves a pair out: a bad image, or nothing of it is visible."""
        if self._first_fault((planned.a, planned.b)):
            return True
        return planned.address.kind != "impostor" and not self._make(planned).visible.any()

    def _make(self, planned: PairPlan) -> Pair:
        a, b = self._images[planned.a], self._images[planned.b]
        assert isinstance(a, CroppedImpression) and isinstance(b, CroppedImpression)
        return make_pair(a, b, planned.address, self.spec)

    def _first_fault(self, positions: Iterable[int]) -> str | None:
        for position in positions:
            if position not in self._images:
                self._images[position] = self._prepare(position)
            result = self._images[position]
            if isinstance(result, str):
                return result
        return None

    def _prepare(self, position: int) -> CroppedImpression | str:
        impression = self.shard.images[position]
        shown = f"shows {impression.image_id!r:.80}"
        try:
            sha256, result = worker.prepare(impression, self.spec, [])
        except Fault as fault:
            return f"{shown}, which cannot be read: {fault}"
        if sha256 != self.hashes.get(impression.image_id):
            return f"{shown}, whose source {impression.path} is not the one that it was built from"
        if isinstance(result, BadImage):
            return f"{shown}, which cannot be used: {result.reason}"
        return result


def describe_difference(data: bytes, rebuilt: bytes) -> str:
    """Describe the fields in which two records differ."""
    try:
        before, now = record.decode(data), record.decode(rebuilt)
    except Fault as fault:
        return str(fault)
    differences = list(_compare_fields(before, now)) or ["bytes of its header or of NaN"]
    return f"differs from the record built again: {'; '.join(differences)}"


def _compare_fields(before: Pair, now: Pair) -> Iterator[str]:
    for name in VALUES:
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            yield f"{name} {old!r:.60}, built again {new!r:.60}"
    for name in ARRAYS:
        old, new = getattr(before, name), getattr(now, name)
        if old.shape != new.shape:
            yield f"{name} has shape {list(old.shape)}, built again {list(new.shape)}"
        elif not np.array_equal(old, new, equal_nan=old.dtype.kind == "f"):
            yield f"{name} {_describe_arrays(old, new)}"


def _describe_arrays(old: np.ndarray, new: np.ndarray) -> str:
    different = ~((old == new) | ((old != old) & (new != new)))
    both = np.abs(old.astype(np.float64) - new.astype(np.float64))[different]
    largest = both[np.isfinite(both)].max(initial=0.0)
    return f"at {int(different.sum())} of {old.size} values, by up to {largest:.3g}"
