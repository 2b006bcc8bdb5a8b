"""Batches: their order, their parts for hosts, their position, and what is refused."""

import itertools

import numpy as np
import pytest
from training import SPEC, make_set

from shards import record
from shards.batch import read_batch
from shards.foundation.errors import Fault, Misuse
from train.loader import TrainingBatches, evaluation_batches


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("set"))


def take(batches, n):
    batches_and_counts = list(itertools.islice(batches, n))
    batches.close()
    return batches_and_counts


def same(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


def test_batch_holds_the_records(shards):
    batch = read_batch(shards, "train", np.array([7, 3, 30]))
    pairs = [record.decode(data) for data in shards.read("train", [7, 3, 30])]
    assert {k: (v.dtype.name, v.shape) for k, v in batch.items()} == {
        "image_a": ("uint8", (3, 32, 32)),
        "image_b": ("uint8", (3, 32, 32)),
        "map_ab": ("float32", (3, 8, 8, 2)),
        "visible": ("bool", (3, 8, 8)),
        "genuine": ("bool", (3,)),
        "kind": ("uint8", (3,)),
        "noise": ("uint8", (3,)),
    }
    for k, pair in enumerate(pairs):
        assert np.array_equal(batch["image_b"][k], pair.image_b)
        assert np.array_equal(batch["map_ab"][k][pair.visible], pair.map_ab[pair.visible])
        assert record.KINDS[batch["kind"][k]] == pair.kind
        assert record.NOISES[batch["noise"][k]] == pair.noise
        assert batch["genuine"][k] == (pair.finger_a == pair.finger_b)
    assert np.isfinite(batch["map_ab"]).all() and not batch["map_ab"][~batch["visible"]].any()


def test_epochs_are_fresh_permutations(shards):
    batches = TrainingBatches(shards, 8, seed=5)
    assert batches.steps == 6  # 50 pairs: two are left out
    epochs = [np.concatenate([batches.indices(6 * e + k) for k in range(6)]) for e in range(4)]
    for epoch in epochs:
        assert len(set(epoch.tolist())) == 48 and set(epoch.tolist()) <= set(range(50))
    assert len({tuple(epoch) for epoch in epochs}) == 4
    left_out = {frozenset(range(50)) - frozenset(epoch.tolist()) for epoch in epochs}
    assert len(left_out) > 1
    assert not np.array_equal(epochs[0], TrainingBatches(shards, 8, seed=6).indices(0))


def test_batches_are_those_of_their_indices(shards):
    batches = TrainingBatches(shards, 8, seed=5)
    for step, batch in enumerate(take(batches, 14)):
        assert same(batch, read_batch(shards, "train", batches.indices(step)))
    wanted = [record.decode(d) for d in shards.read("train", batches.indices(7).tolist())]
    assert batches.image_ids(7) == [(pair.image_id_a, pair.image_id_b) for pair in wanted]


@pytest.mark.parametrize("processes", [2, 4])
def test_hosts_share_the_same_global_batches(shards, processes):
    whole = TrainingBatches(shards, 8, seed=1)
    hosts = [TrainingBatches(shards, 8, 1, (k, processes)) for k in range(processes)]
    for step, parts in enumerate(zip(*(take(host, 8) for host in hosts), strict=True)):
        expected = read_batch(shards, "train", whole.indices(step))
        for k, part in enumerate(parts):
            ours = np.split(expected["image_a"], processes)[k]
            assert np.array_equal(part["image_a"], ours)


@pytest.mark.parametrize("at", [0, 3, 6, 9])
def test_resumes_where_it_stood(shards, at):
    straight = take(TrainingBatches(shards, 8, seed=2), 12)
    first = TrainingBatches(shards, 8, seed=2)
    for _ in range(at):
        next(first)
    state = first.state()
    first.close()
    second = TrainingBatches(shards, 8, seed=2)
    second.restore(state)
    assert all(map(same, take(second, 12 - at), straight[at:]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 10}, "batch size 8 then, 10 now"),
        ({"seed": 3}, "seed 2 then, 3 now"),
        ({"overfit": True}, "overfit False then, True now"),
    ],
)
def test_position_in_other_batches_is_refused(shards, change, message):
    state = TrainingBatches(shards, 8, seed=2).state()
    other = TrainingBatches(shards, **{"batch_size": 8, "seed": 2, **change})
    with pytest.raises(Fault, match="not those that the checkpoint was trained on") as fault:
        other.restore(state)
    assert message in str(fault.value)


def test_position_in_another_set_is_refused(shards, tmp_path):
    state = TrainingBatches(shards, 8, seed=2).state()
    with pytest.raises(Fault, match=r"training shards \w+ then, \w+ now"):
        TrainingBatches(make_set(tmp_path, seed=9), 8, seed=2).restore(state)


def test_overfit_repeats_the_first_batch(shards):
    first = read_batch(shards, "train", TrainingBatches(shards, 8, seed=4).indices(0))
    batches = TrainingBatches(shards, 8, seed=4, overfit=True)
    assert all(same(batch, first) for batch in take(batches, 9))
    assert np.array_equal(batches.indices(7), batches.indices(0))


def test_too_few_pairs(shards):
    with pytest.raises(Misuse, match=r"50 training pairs do not fill one batch of 64.* to 50"):
        TrainingBatches(shards, 64, seed=0)


def test_evaluation_sees_every_pair_once(shards):
    batches_and_counts = list(evaluation_batches(shards, "val", 4))
    assert [count for _, count in batches_and_counts] == [4, 4, 2]
    assert all(len(batch["image_a"]) == 4 for batch, _ in batches_and_counts)
    every = read_batch(shards, "val", np.arange(10))
    images = np.concatenate([batch["image_a"][:count] for batch, count in batches_and_counts])
    assert np.array_equal(images, every["image_a"])
    hosts = [list(evaluation_batches(shards, "val", 4, host=(k, 2))) for k in (0, 1)]
    for k, (batch, count) in enumerate(batches_and_counts):
        parts = np.concatenate([host[k][0]["image_a"] for host in hosts])
        assert np.array_equal(parts, batch["image_a"]) and hosts[0][k][1] == count
    assert list(evaluation_batches(shards, "test", 4)) == []


def test_damaged_record_is_named(tmp_path):
    shards = make_set(tmp_path, train=8, val=0, shards=1)
    entry = shards.manifest.shards[0]
    data = shards.read("train", [5])[0]
    path = tmp_path / entry.name
    whole = bytearray(path.read_bytes())
    whole[whole.find(data) + 2000] ^= 1
    path.write_bytes(bytes(whole))
    batches = TrainingBatches(shards, 8, seed=0)
    with pytest.raises(Fault, match=rf"{entry.name}"):
        next(batches)
    batches.close()


def test_set_of_another_size_gives_its_own_shapes(tmp_path):
    shards = make_set(tmp_path, train=4, val=0, shards=1, spec={**SPEC, "size": 64, "grid": 16})
    assert read_batch(shards, "train", np.array([0]))["map_ab"].shape == (1, 16, 16, 2)
