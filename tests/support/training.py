"""A tiny shard set and a tiny network for the trainer's tests, and the comparison of two runs."""

import numpy as np
import pytest
from pairs import make_pairs

from model.network.config import ModelConfig
from shards import manifest, record, shard_file, store
from train.config import TrainConfig

SPEC = {"crop": 72, "size": 32, "grid": 8, "seed": 0}
MODEL = ModelConfig(
    image_size=32,
    stem_channels=8,
    stage_channels=(8, 8),
    blocks=1,
    width=16,
    layers=1,
    heads=2,
    mlp=16,
)
TRAIN = TrainConfig(epochs=2, batch_size=8, checkpoint_every=1, latest_every=100, log_every=1)
# Relative differences between processors. The refinement starts at the likeliest cell. Between two
# equally likely cells rounding decides, and one cell of a batch that starts elsewhere moves that
# term, and with it the loss and the norm of the gradient, by a jump.
JUMPS = {"refine": 1e-2, "loss": 1e-3, "grad_norm": 1e-2}


def make_set(directory, train=50, val=10, seed=0, shards=2, spec=SPEC, test=0):
    """A shard set of `train`, `val` and `test` pairs in `shards` files a split, opened."""
    entries = []
    for split, count in (("train", train), ("val", val), ("test", test)):
        size, grid = spec["size"], spec["grid"]
        pairs = make_pairs(count, seed, split=split, size=size, grid=grid)
        for k in range(shards if count else 0):
            path = directory / manifest.shard_name("synthetic/test", split, k, shards)
            part = pairs[k * count // shards : (k + 1) * count // shards]
            entries.append(shard_file.write_shard(path, map(record.encode, part)))
    images = {"synthetic/test": {"synthetic/test/0_1": "0" * 64}}
    store.write_manifest(directory, manifest.assemble(spec, images, entries))
    return store.open_set(directory)


def assert_same_metrics(one, two):
    """The metrics of a step agree up to rounding, whatever the devices and the processor."""
    assert one.keys() == two.keys()
    for name, value in one.items():
        tolerance = JUMPS.get(name, 1e-5)
        assert two[name] == pytest.approx(value, rel=tolerance, abs=1e-6), name


def distance(one, two):
    """Euclidean distance between two sets of parameters, arrays by name."""
    assert one.keys() == two.keys()
    return np.sqrt(sum(np.sum(np.square(one[name] - two[name])) for name in one))
