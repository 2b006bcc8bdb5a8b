"""Which pairs a set is made of and which shard each goes to: a pure function of names.

A shard holds whole fingers of one partition and split, and the partners of its impostor pairs are
other fingers of the same shard: a shard needs nothing but its own images, each decoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise

import numpy as np

from pipeline.impression import Impression
from pipeline.pair import PARTNER, Address
from pipeline.spec import PipelineSpec
from shards.manifest import SPLITS, shard_name

CORRUPTIONS = ("sensor", "dryness", "pressure")  # one genuine pair each
SLOTS = 6  # of an image in its partition's numbering: three corruptions, two impostors, impressions
IMPOSTOR, IMPRESSIONS = 3, 5  # the first of those slots


@dataclass(frozen=True)
class ShardPlan:
    """A shard: its images and their numbers in the partition, from which its pairs follow."""

    name: str  # posix path relative to the set
    partition: str
    split: str
    images: tuple[Impression, ...]  # whole fingers, sorted by (finger, image_id)
    numbers: tuple[int, ...]  # of the images among all of the partition


@dataclass(frozen=True)
class PairPlan:
    """A pair of a shard: its address, and the positions of A and B among the shard's images."""

    address: Address
    a: int
    b: int


def make_plan(
    selection: dict[str, list[Impression]],
    spec: PipelineSpec,
    split_of: Callable[[Impression], str],
) -> list[ShardPlan]:
    """The shards of the selected partitions, by partition, split and number."""
    shards = []
    for partition, impressions in sorted(selection.items()):
        ordered = sorted(impressions, key=lambda i: (i.finger, i.image_id))
        for split in SPLITS:
            members = [(n, i) for n, i in enumerate(ordered) if split_of(i) == split]
            fingers = [list(g) for _, g in groupby(members, key=lambda m: m[1].finger)]
            groups = _pack(fingers, spec)
            for k, group in enumerate(groups):
                name = shard_name(partition, split, k, len(groups))
                numbers, images = zip(*group, strict=True)
                shards.append(ShardPlan(name, partition, split, images, numbers))
    return shards


def pairs(shard: ShardPlan, spec: PipelineSpec) -> Iterator[PairPlan]:
    """The pairs of a shard in the order in which they are written.

    Each image against its three corruptions, against another impression of its finger where
    `different_impressions` and a known truth allow it, and against other fingers, so that one
    pair in four is an impostor pair (none where the shard has a single finger).
    """
    images = shard.images
    fingers = [image.finger for image in images]
    siblings = [
        _siblings(images, k) if spec.different_impressions else [] for k in range(len(images))
    ]
    genuine = len(CORRUPTIONS) * len(images) + sum(map(bool, siblings))
    impostors = round(genuine / len(CORRUPTIONS)) if len(set(fingers)) > 1 else 0
    for k, number in enumerate(shard.numbers):
        first = number * SLOTS
        for slot, noise in enumerate(CORRUPTIONS):
            yield PairPlan(Address("genuine", noise, first + slot), k, k)
        due = (k + 1) * impostors // len(images) - k * impostors // len(images)
        others = [j for j, finger in enumerate(fingers) if finger != fingers[k]]
        for slot in range(IMPOSTOR, IMPOSTOR + due):
            yield _partnered("impostor", first + slot, k, others, shard, spec)
        if siblings[k]:
            yield _partnered(
                "genuine-impressions", first + IMPRESSIONS, k, siblings[k], shard, spec
            )


def _partnered(
    kind: str, index: int, k: int, among: Sequence[int], shard: ShardPlan, spec: PipelineSpec
) -> PairPlan:
    """A pair with a drawn partner, corrupted in a drawn way: the corruption tells no kind."""
    rng = Address(kind, "none", index).rng(spec.seed, shard.partition, PARTNER)
    partner = among[int(rng.integers(len(among)))]
    return PairPlan(Address(kind, CORRUPTIONS[int(rng.integers(3))], index), k, partner)


def _siblings(images: Sequence[Impression], k: int) -> list[int]:
    """Positions of the other impressions of the same finger, where the truth between is known."""
    if images[k].truth is None:
        return []
    same = (j for j, other in enumerate(images) if other.finger == images[k].finger)
    return [j for j in same if j != k and images[j].truth is not None]


def _pack(
    fingers: list[list[tuple[int, Impression]]], spec: PipelineSpec
) -> list[list[tuple[int, Impression]]]:
    """Whole fingers in runs of about `pairs_per_shard` pairs, two fingers or more in each."""
    images = sum(map(len, fingers))
    wanted = round(images * (len(CORRUPTIONS) + 1) / spec.pairs_per_shard)
    count = max(1, min(wanted, len(fingers) // 2))
    if not fingers:
        return []
    ends = np.cumsum([len(f) for f in fingers])
    cuts = [0]
    for k in range(1, count):
        nearest = int(np.abs(ends - images * k / count).argmin()) + 1
        cuts.append(min(max(nearest, cuts[-1] + 2), len(fingers) - 2 * (count - k)))
    cuts.append(len(fingers))
    return [list(chain.from_iterable(fingers[a:b])) for a, b in pairwise(cuts)]
