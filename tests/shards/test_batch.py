"""The pairs of a set as numpy arrays."""

import pickle

import numpy as np
import pytest
from training import make_set

from shards import record
from shards.foundation.errors import Fault, Misuse
from train.densereg import open_shards


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    make_set(folder, train=13, val=3)
    return folder


@pytest.fixture
def pairs(folder):
    return open_shards(str(folder))


def test_each_pair_is_that_of_its_record(pairs):
    assert len(pairs) == 13
    for number in (0, 7, 12, -1):
        one, stored = pairs[number], pairs.record(number)
        for name in ("image_a", "image_b", "visible"):
            np.testing.assert_array_equal(one[name], getattr(stored, name))
        np.testing.assert_array_equal(one["map_ab"][stored.visible], stored.map_ab[stored.visible])
        assert (one["map_ab"][~stored.visible] == 0).all()
        assert one["genuine"] == stored.genuine and record.KINDS[one["kind"]] == stored.kind
        one["image_a"][:] = 0  # arrays of the caller, which may be written
    assert len(pairs[2:5]) == 3


def test_batches_hold_every_pair_once(pairs):
    in_order = np.concatenate([batch["image_a"] for batch in pairs.batches(4)])
    np.testing.assert_array_equal(in_order, pairs.batch(range(13))["image_a"])
    sizes = [len(batch["genuine"]) for batch in pairs.batches(4, seed=1)]
    shuffled = np.concatenate([batch["image_a"] for batch in pairs.batches(4, seed=1)])
    assert sizes == [4, 4, 4, 1]
    assert not np.array_equal(shuffled, in_order)
    assert {image.tobytes() for image in shuffled} == {image.tobytes() for image in in_order}


def test_pairs_can_be_pickled_as_loaders_need(pairs):
    again = pickle.loads(pickle.dumps(pairs))  # noqa: S301
    np.testing.assert_array_equal(again[3]["image_b"], pairs[3]["image_b"])


def test_wrong_use(folder, pairs, tmp_path):
    assert len(open_shards(folder, "test")) == 0 and len(open_shards(folder, split="val")) == 3
    with pytest.raises(Misuse, match="expected one of train, val, test"):
        open_shards(folder, "validation")
    for size in (0, -1):
        with pytest.raises(Misuse, match=f"batches of {size} pairs: expected at least 1"):
            pairs.batches(size)
    with pytest.raises(Misuse, match="a batch of no pairs"):
        pairs.batch([])
    with pytest.raises(Misuse, match="no shard set here"):
        open_shards(tmp_path)
    with pytest.raises(IndexError):
        pairs[13]


def test_damaged_record_is_named(tmp_path):
    make_set(tmp_path, train=8, val=0)
    image = open_shards(tmp_path)[1]["image_a"].tobytes()
    path = min(tmp_path.glob("train/*"))
    path.write_bytes(path.read_bytes().replace(image, image[::-1]))
    with pytest.raises(Fault, match="arrayrecord"):
        list(open_shards(tmp_path).batches(8))
