"""Compare the records of a shard with the pairs that its plan contains."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.plan import PairPlan, ShardPlan, plan_pairs
from pipeline.spec import PipelineSpec
from shards.record import Pair


class PlanComparison:
    """The pairs of a shard's plan, and which of them its records show.

    Attributes:
        shard: the plan.
        present: the pairs whose index a record has, by index.
    """

    def __init__(self, shard: ShardPlan, spec: PipelineSpec) -> None:
        self.shard = shard
        self._planned = {pair.address.index: pair for pair in plan_pairs(shard, spec)}
        self._last_index = -1
        self.present: dict[int, PairPlan] = {}

    def match(self, pair: Pair) -> tuple[PairPlan | None, list[str]]:
        """Find the planned pair of a record; records must come in their order.

        Returns:
            The planned pair, None where the record is not that pair; and messages, each of which
            continues "record N ".
        """
        planned = self._planned.get(pair.index)
        if planned is None:
            return None, [f"has index {pair.index}, which is not in the plan of its shard"]
        messages = []
        if pair.index <= self._last_index:
            messages.append(f"has index {pair.index}, not after {self._last_index} before it")
        self._last_index = max(self._last_index, pair.index)
        self.present[pair.index] = planned
        differences = list(self._compare(pair, planned))
        return None if differences else planned, messages + differences

    def missing(self) -> list[PairPlan]:
        """Return the planned pairs whose index no record has."""
        return [pair for index, pair in self._planned.items() if index not in self.present]

    def count(self, kind: str) -> int:
        """Return the number of planned pairs of a kind."""
        return sum(pair.address.kind == kind for pair in self._planned.values())

    def describe(self, planned: PairPlan) -> str:
        """Describe a planned pair in a message."""
        address, images = planned.address, self.shard.images
        a, b = images[planned.a].image_id, images[planned.b].image_id
        return f"pair {address.index} ({address.kind}, {address.noise}: {a}, {b})"

    def _compare(self, pair: Pair, planned: PairPlan) -> Iterator[str]:
        a, b = self.shard.images[planned.a], self.shard.images[planned.b]
        expected = {
            "kind": planned.address.kind,
            "noise": planned.address.noise,
            "image_id_a": a.image_id,
            "image_id_b": b.image_id,
            "finger_a": a.finger,
            "finger_b": b.finger,
        }
        for name, value in expected.items():
            if getattr(pair, name) != value:
                yield f"has {name} {getattr(pair, name)!r:.60}, planned {value!r:.60}"
