"""Which pairs a set is made of and which shard each goes to: a pure function of names.

A shard holds whole fingers of one partition and split, and the partners of its impostor pairs are
other fingers of the same shard: a shard needs nothing but its own images, each decoded once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise

import numpy as np

from pipeline.impression import Impression
from pipeline.pair import PARTNER, Address
from pipeline.spec import PipelineSpec
from pipeline.split import split_of
from shards.manifest import SPLITS, shard_name

CORRUPTIONS = ("sensor", "dryness", "pressure")  # one genuine pair each
GENUINE_PER_IMPOSTOR = 3
SLOTS = 16  # of an image in its partition's numbering: corruptions, then impostors, impressions
IMPOSTOR, IMPRESSIONS = 3, 8  # the first of those slots

Numbered = tuple[int, Impression]  # an image and its number in its partition


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


def make_plan(selection: Mapping[str, Sequence[Impression]], spec: PipelineSpec) -> list[ShardPlan]:
    """The shards of the selected partitions, by partition, split and number."""
    shards = []
    for partition, impressions in sorted(selection.items()):
        ordered = enumerate(sorted(impressions, key=lambda i: (i.finger, i.image_id)))
        members = [(split_of(i, spec.held_out), (n, i)) for n, i in ordered]
        for split in SPLITS:
            groups = _pack([m for s, m in members if s == split], spec)
            for k, group in enumerate(groups):
                name = shard_name(partition, split, k, len(groups))
                numbers, images = zip(*group, strict=True)
                shards.append(ShardPlan(name, partition, split, images, numbers))
    return shards


def counts(shard: ShardPlan, spec: PipelineSpec) -> dict[str, int]:
    """Planned pairs by kind, without going through them."""
    doubles = sum(min(len(s), spec.different_impressions) for s in _siblings(shard))
    genuine = len(CORRUPTIONS) * len(shard.images)
    alone = len({image.finger for image in shard.images}) == 1
    impostors = 0 if alone else round((genuine + doubles) / GENUINE_PER_IMPOSTOR)
    found = {"genuine": genuine, "genuine-impressions": doubles, "impostor": impostors}
    return {kind: n for kind, n in found.items() if n}


def pairs(shard: ShardPlan, spec: PipelineSpec) -> Iterator[PairPlan]:
    """The pairs of a shard in the order in which they are written.

    Each image against its three corruptions, against other fingers, so that one pair in four is an
    impostor pair (none where the shard has a single finger), and against `different_impressions`
    others of its finger, as far as there are any to which a known truth leads.
    """
    images = len(shard.images)
    impostors = counts(shard, spec).get("impostor", 0)
    siblings = _siblings(shard)
    for k, number in enumerate(shard.numbers):
        first = number * SLOTS
        for slot, noise in enumerate(CORRUPTIONS):
            yield PairPlan(Address("genuine", noise, first + slot), k, k)
        due = (k + 1) * impostors // images - k * impostors // images
        for slot in range(IMPOSTOR, IMPOSTOR + due):
            yield _partnered("impostor", first + slot, k, _others(shard, k), shard, spec)
        left = list(siblings[k])
        for slot in range(IMPRESSIONS, IMPRESSIONS + min(len(left), spec.different_impressions)):
            pair = _partnered("genuine-impressions", first + slot, k, left, shard, spec)
            left.remove(pair.b)
            yield pair


def _partnered(
    kind: str, index: int, k: int, among: Sequence[int], shard: ShardPlan, spec: PipelineSpec
) -> PairPlan:
    """A pair with a drawn partner, corrupted in a drawn way: the corruption tells no kind."""
    rng = Address(kind, "none", index).rng(spec.seed, shard.partition, PARTNER)
    partner = among[int(rng.integers(len(among)))]
    noise = CORRUPTIONS[int(rng.integers(len(CORRUPTIONS)))]
    return PairPlan(Address(kind, noise, index), k, partner)


def _others(shard: ShardPlan, k: int) -> list[int]:
    """Positions of the images of other fingers."""
    finger = shard.images[k].finger
    return [j for j, other in enumerate(shard.images) if other.finger != finger]


def _siblings(shard: ShardPlan) -> list[list[int]]:
    """For each image the other impressions of its finger to which its truth leads."""
    known: dict[str, list[int]] = {}
    for k, image in enumerate(shard.images):
        if image.has_truth:
            known.setdefault(image.finger, []).append(k)
    return [
        [j for j in known.get(image.finger, []) if j != k] if image.has_truth else []
        for k, image in enumerate(shard.images)
    ]


def _pack(members: Sequence[Numbered], spec: PipelineSpec) -> list[list[Numbered]]:
    """Whole fingers in runs of about `pairs_per_shard` pairs, two fingers or more in each."""
    fingers = [list(group) for _, group in groupby(members, key=lambda m: m[1].finger)]
    if not fingers:
        return []
    related = sum(image.has_truth for _, image in members) * spec.different_impressions
    genuine = len(CORRUPTIONS) * len(members) + related
    wanted = round(genuine * (1 + 1 / GENUINE_PER_IMPOSTOR) / spec.pairs_per_shard)
    count = max(1, min(wanted, len(fingers) // 2))
    ends = np.cumsum([len(finger) for finger in fingers])
    cuts = [0]
    for k in range(1, count):
        nearest = int(np.abs(ends - len(members) * k / count).argmin()) + 1
        cuts.append(min(max(nearest, cuts[-1] + 2), len(fingers) - 2 * (count - k)))
    cuts.append(len(fingers))
    return [list(chain.from_iterable(fingers[a:b])) for a, b in pairwise(cuts)]
