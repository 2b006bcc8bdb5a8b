"""Plan of a shard set: which pairs it holds and which shard each pair goes to.

The plan depends on names and the spec alone. A shard holds all impressions of its fingers in one
partition and split, and impostor pairs are formed within a shard. A shard can therefore be built
from its own images, and each image is decoded once.
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
from shards.record import NOISES

DEGRADATIONS = NOISES[1:]  # one genuine pair each; the first noise is none

# The number of a pair in its partition (`Address.index`) is image number · SLOTS + slot.
SLOTS = 16  # per image
IMPOSTOR_SLOT = 3  # first slot of impostor pairs; the slots before it are the degradations
IMPRESSIONS_SLOT = 8  # first slot of pairs with other impressions of the finger

Numbered = tuple[int, Impression]  # an image and its number in its partition


@dataclass(frozen=True)
class PlanParameters:
    """Composition of a shard."""

    genuine_per_impostor: int = 3  # pairs; IFViT, section on the dense registration data: 3 to 1
    fewest_fingers: int = 2  # per shard, where the split has as many; chosen: impostors need two


DEFAULT = PlanParameters()


@dataclass(frozen=True)
class ShardPlan:
    """A shard and its images; its pairs follow from them (`plan_pairs`).

    Attributes:
        name: posix path relative to the set.
        partition: partition of all images.
        split: split of all images.
        images: all impressions of each finger in the shard, sorted by (finger, image_id).
        numbers: number of each image in its partition.
    """

    name: str
    partition: str
    split: str
    images: tuple[Impression, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class PairPlan:
    """A pair: its address, and the positions of images A and B in `ShardPlan.images`."""

    address: Address
    a: int
    b: int


def plan_shards(
    selection: Mapping[str, Sequence[Impression]],
    spec: PipelineSpec,
    parameters: PlanParameters = DEFAULT,
) -> list[ShardPlan]:
    """Return the shards of the selected partitions, sorted by partition, split and number.

    Args:
        selection: partition → its impressions, in any order.
        spec: settings of the set.
        parameters: composition of a shard.
    """
    shards = []
    for partition, impressions in sorted(selection.items()):
        ordered = sorted(impressions, key=lambda i: (i.finger, i.image_id))
        members: dict[str, list[Numbered]] = {split: [] for split in SPLITS}
        for number, impression in enumerate(ordered):
            members[split_of(impression, spec.held_out)].append((number, impression))
        for split in SPLITS:
            groups = _group_fingers(members[split], spec, parameters)
            for k, group in enumerate(groups):
                name = shard_name(partition, split, k, len(groups))
                numbers, images = zip(*group, strict=True)
                shards.append(ShardPlan(name, partition, split, images, numbers))
    return shards


def count_pairs(
    shard: ShardPlan, spec: PipelineSpec, parameters: PlanParameters = DEFAULT
) -> dict[str, int]:
    """Return the number of planned pairs by kind, without kinds that do not occur."""
    between = sum(
        min(len(siblings), spec.different_impressions) for siblings in _find_siblings(shard)
    )
    genuine = len(DEGRADATIONS) * len(shard.images)
    has_impostors = len({image.finger for image in shard.images}) > 1
    impostors = round((genuine + between) / parameters.genuine_per_impostor) if has_impostors else 0
    counts = {"genuine": genuine, "genuine-impressions": between, "impostor": impostors}
    return {kind: count for kind, count in counts.items() if count}


def plan_pairs(
    shard: ShardPlan, spec: PipelineSpec, parameters: PlanParameters = DEFAULT
) -> Iterator[PairPlan]:
    """Yield the pairs of a shard in the order in which they are written.

    Each image forms
    - a genuine pair with each of its three degraded versions;
    - impostor pairs with other fingers of the shard, so that one pair in four is an impostor pair
      (none where the shard has a single finger);
    - up to `spec.different_impressions` genuine pairs with other impressions of its finger to
      which the exact map is known.
    """
    images = len(shard.images)
    impostors = count_pairs(shard, spec, parameters).get("impostor", 0)
    siblings = _find_siblings(shard)
    for k, number in enumerate(shard.numbers):
        first = number * SLOTS
        for slot, noise in enumerate(DEGRADATIONS):
            yield PairPlan(Address("genuine", noise, first + slot), k, k)
        impostors_of_image = (k + 1) * impostors // images - k * impostors // images
        others = _find_other_fingers(shard, k) if impostors_of_image else []
        for slot in range(IMPOSTOR_SLOT, IMPOSTOR_SLOT + impostors_of_image):
            yield _sample_partner("impostor", first + slot, k, others, shard, spec)
        remaining = list(siblings[k])
        count = min(len(remaining), spec.different_impressions)
        for slot in range(IMPRESSIONS_SLOT, IMPRESSIONS_SLOT + count):
            pair = _sample_partner("genuine-impressions", first + slot, k, remaining, shard, spec)
            remaining.remove(pair.b)
            yield pair


def _sample_partner(
    kind: str, index: int, k: int, candidates: Sequence[int], shard: ShardPlan, spec: PipelineSpec
) -> PairPlan:
    """Sample image B and its degradation; all kinds have the same distribution of degradations."""
    rng = Address(kind, "none", index).rng(spec.seed, shard.partition, PARTNER)
    partner = candidates[int(rng.integers(len(candidates)))]
    noise = DEGRADATIONS[int(rng.integers(len(DEGRADATIONS)))]
    return PairPlan(Address(kind, noise, index), k, partner)


def _find_other_fingers(shard: ShardPlan, k: int) -> list[int]:
    """Return the positions of the images of other fingers than image k."""
    finger = shard.images[k].finger
    return [j for j, other in enumerate(shard.images) if other.finger != finger]


def _find_siblings(shard: ShardPlan) -> list[list[int]]:
    """Return for each image the other impressions of its finger to which the map is known."""
    by_finger: dict[str, list[int]] = {}
    for k, image in enumerate(shard.images):
        if image.has_truth:
            by_finger.setdefault(image.finger, []).append(k)
    return [
        [j for j in by_finger[image.finger] if j != k] if image.has_truth else []
        for k, image in enumerate(shard.images)
    ]


def _group_fingers(
    members: Sequence[Numbered], spec: PipelineSpec, parameters: PlanParameters
) -> list[list[Numbered]]:
    """Cut the sorted images of a split into shards of about `spec.pairs_per_shard` pairs.

    Cuts lie between fingers, and each shard has `fewest_fingers` or more where possible.
    """
    fingers = [list(group) for _, group in groupby(members, key=lambda member: member[1].finger)]
    if not fingers:
        return []
    fewest = parameters.fewest_fingers
    between = sum(image.has_truth for _, image in members) * spec.different_impressions
    genuine = len(DEGRADATIONS) * len(members) + between
    pairs = genuine * (1 + 1 / parameters.genuine_per_impostor)
    count = max(1, min(round(pairs / spec.pairs_per_shard), len(fingers) // fewest))
    ends = np.cumsum([len(finger) for finger in fingers])
    cuts = [0]
    for k in range(1, count):
        nearest = int(np.abs(ends - len(members) * k / count).argmin()) + 1
        cuts.append(min(max(nearest, cuts[-1] + fewest), len(fingers) - fewest * (count - k)))
    cuts.append(len(fingers))
    return [list(chain.from_iterable(fingers[a:b])) for a, b in pairwise(cuts)]
