"""Plan: every image once, complete fingers, three genuine to one impostor, stable addresses."""

import dataclasses
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from pipeline import plan
from pipeline.impression import Impression
from pipeline.plan import plan_pairs, plan_shards
from pipeline.spec import LIMITS, PipelineSpec
from pipeline.split import split_of

SPEC = PipelineSpec(pairs_per_shard=200)
MOST_IMPRESSIONS = LIMITS.different_impressions_range[1]


def fvc(fingers=100, impressions=8, partition="fvc2002/db1_a", first=1):
    database = partition[:-2]
    return [
        Impression(
            Path(f"{f}_{i}.tif"),
            f"{partition}/{f}_{i}",
            partition,
            f"{database}/{f}",
            f"{database}/{f}",
            500.0,
        )
        for f in range(first, first + fingers)
        for i in range(1, impressions + 1)
    ]


def nist(persons=40, partition="sd302/U"):
    return [
        Impression(
            Path(f"{p:08d}_{f:02d}.png"),
            f"{partition}/{p:08d}_{f:02d}",
            partition,
            f"nist/{p:08d}",
            f"nist/{p:08d}/{f:02d}",
            500.0,
            "roll",
            f,
        )
        for p in range(2302, 2302 + persons)
        for f in range(1, 11)
    ]


def synthetic(fingers=30, impressions=3):
    name = "synthetic/x"
    return [
        Impression(
            Path(f"{f:05d}_{i}.png"),
            f"{name}/{f:05d}_{i}",
            name,
            f"{name}/{f:05d}",
            f"{name}/{f:05d}",
            500.0,
            truth=Path(f"{f:05d}_{i}.json"),
        )
        for f in range(fingers)
        for i in range(impressions)
    ]


SELECTIONS = {
    "fvc": {"fvc2002/db1_a": fvc()},
    "nist": {"sd302/U": nist()},
    "both": {"sd302/U": nist(), "fvc2002/db1_a": fvc()},
    "b set": {"fvc2002/db1_b": fvc(10, 8, "fvc2002/db1_b", 101)},
    "synthetic": {"synthetic/x": synthetic()},
}


@pytest.fixture(params=SELECTIONS)
def selection(request):
    return SELECTIONS[request.param]


def all_pairs(shards, spec):
    """(shard, pair) of all shards of a plan."""
    return [(shard, pair) for shard in shards for pair in plan_pairs(shard, spec)]


def test_every_image_is_in_one_shard_of_its_partition_and_split(selection):
    shards = plan_shards(selection, SPEC)
    placed = Counter(image.image_id for shard in shards for image in shard.images)
    assert placed == Counter(i.image_id for i in chain.from_iterable(selection.values()))
    for shard in shards:
        assert {i.partition for i in shard.images} == {shard.partition}
        assert {split_of(i) for i in shard.images} == {shard.split}


def test_persons_are_in_one_split_and_fingers_in_one_shard(selection):
    splits, homes = {}, {}
    for shard in plan_shards(selection, SPEC):
        for image in shard.images:
            assert splits.setdefault(image.person, shard.split) == shard.split
            assert homes.setdefault((image.partition, image.finger), shard.name) == shard.name


def test_each_image_is_paired_once_with_each_degradation(selection):
    pairs = Counter(
        (shard.images[p.a].image_id, p.address.noise)
        for shard, p in all_pairs(plan_shards(selection, SPEC), SPEC)
        if p.address.kind == "genuine" and p.a == p.b
    )
    images = [i.image_id for i in chain.from_iterable(selection.values())]
    assert pairs == Counter((i, n) for i in images for n in ("sensor", "dryness", "pressure"))


def test_one_pair_in_four_is_an_impostor_pair(selection):
    """The numbers of the paper: n images give 4·n pairs, 25,090 images give 100,360."""
    kinds = Counter()
    for shard, pair in all_pairs(plan_shards(selection, SPEC), SPEC):
        kinds[pair.address.kind] += 1
        same = shard.images[pair.a].finger == shard.images[pair.b].finger
        assert same == (pair.address.kind != "impostor")
    images = sum(map(len, selection.values()))
    assert kinds == {"genuine": 3 * images, "impostor": images}


def test_degradation_does_not_depend_on_the_kind():
    noises = Counter(
        p.address.noise
        for _, p in all_pairs(plan_shards(SELECTIONS["fvc"], SPEC), SPEC)
        if p.address.kind == "impostor"
    )
    assert set(noises) == {"sensor", "dryness", "pressure"}
    assert all(abs(n - 800 / 3) < 5 * (800 * 2 / 9) ** 0.5 for n in noises.values())


def test_numbers_are_unique_within_a_partition(selection):
    used = Counter(
        (s.partition, p.address.index) for s, p in all_pairs(plan_shards(selection, SPEC), SPEC)
    )
    assert set(used.values()) == {1}


def test_genuine_addresses_do_not_depend_on_the_shards():
    """The same pair has the same number in shards of any size, and beside any partition."""

    def genuine(selection, size):
        spec = dataclasses.replace(SPEC, pairs_per_shard=size)
        return {
            (s.images[p.a].image_id, p.address)
            for s, p in all_pairs(plan_shards(selection, spec), spec)
            if p.address.kind == "genuine" and s.partition == "sd302/U"
        }

    assert genuine(SELECTIONS["nist"], 100) == genuine(SELECTIONS["both"], 1000)


def test_plan_does_not_depend_on_the_order_of_files(selection):
    backwards = {name: images[::-1] for name, images in reversed(selection.items())}
    assert plan_shards(selection, SPEC) == plan_shards(backwards, SPEC)


def test_partners_are_sampled_by_address(selection):
    shards = plan_shards(selection, SPEC)
    assert all_pairs(shards, SPEC) == all_pairs(shards, SPEC)
    other = dataclasses.replace(SPEC, seed=1)
    if any(len(set(s.images)) > 3 for s in shards):
        assert all_pairs(shards, SPEC) != all_pairs(shards, other)


@pytest.mark.parametrize("size", [20, 200, 1000, 100_000])
def test_shards_have_the_requested_size(selection, size):
    """As close as complete fingers, at least two per shard, allow."""
    spec = dataclasses.replace(SPEC, pairs_per_shard=size)
    for shard in plan_shards(selection, spec):
        fingers = Counter(i.finger for i in shard.images)
        assert len(fingers) >= 2
        largest = 4 * max(fingers.values())
        total = sum(plan.count_pairs(shard, spec).values())
        assert total <= max(1.6 * size, 2 * largest) + largest


def test_counts_agree_with_the_pairs(selection):
    for several in (0, 1, 3, MOST_IMPRESSIONS):
        spec = dataclasses.replace(SPEC, different_impressions=several)
        for shard in plan_shards(selection, spec):
            counts = Counter(p.address.kind for p in plan_pairs(shard, spec))
            assert counts == plan.count_pairs(shard, spec)


@pytest.mark.parametrize(
    ("several", "doubles", "impostors"), [(1, 90, 120), (2, 180, 150), (MOST_IMPRESSIONS, 180, 150)]
)
def test_pairs_of_impressions_occur_once_and_keep_three_to_one(several, doubles, impostors):
    """Each of three impressions has at most two others."""
    spec = dataclasses.replace(SPEC, different_impressions=several)
    kinds, partners, addresses = Counter(), set(), set()
    for shard, pair in all_pairs(plan_shards(SELECTIONS["synthetic"], spec), spec):
        kinds[pair.address.kind] += 1
        addresses.add((shard.partition, pair.address.index))
        if pair.address.kind == "genuine-impressions":
            a, b = shard.images[pair.a], shard.images[pair.b]
            assert a.finger == b.finger and a.image_id != b.image_id
            partners.add((a.image_id, b.image_id))
    assert kinds == {"genuine": 270, "genuine-impressions": doubles, "impostor": impostors}
    assert len(partners) == doubles
    assert len(addresses) == kinds.total()


def test_impressions_without_truth_have_no_such_pairs():
    spec = dataclasses.replace(SPEC, different_impressions=1)
    kinds = {p.address.kind for _, p in all_pairs(plan_shards(SELECTIONS["fvc"], spec), spec)}
    assert kinds == {"genuine", "impostor"}


def test_a_single_finger_has_no_impostors():
    one = {"fvc2002/db1_b": fvc(1, 8, "fvc2002/db1_b", 101)}
    (shard,) = plan_shards(one, SPEC)
    assert (
        plan.count_pairs(shard, SPEC)
        == {"genuine": 24}
        == Counter(p.address.kind for p in plan_pairs(shard, SPEC))
    )


def test_names_of_shards():
    names = [
        shard.name for shard in plan_shards({"sd302/U": nist(40)}, SPEC) if shard.split == "train"
    ]
    assert names[0] == f"train/sd302-U-00000-of-{len(names):05d}.arrayrecord"
    assert len(set(names)) == len(names) > 1
