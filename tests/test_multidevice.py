"""Data parallel training: many devices compute what one computes."""

import jax
import numpy as np
import pytest
from flax import nnx
from training import MODEL, TRAIN, make_set

from train import state, step
from train.loader import TrainingBatches

STEPS = 50
TRAVELLERS = ("all-gather", "all-to-all", "collective-permute", "reduce-scatter")


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    stream = TrainingBatches(make_set(tmp_path_factory.mktemp("set"), val=0), 8, seed=0)
    found = [next(stream) for _ in range(STEPS)]
    stream.close()
    return found


def train(batches, devices):
    """Losses of the steps, the last parameters, and the compiled program's text."""
    mesh = state.make_mesh(jax.devices()[:devices])
    program = step.make_program(MODEL, TRAIN, STEPS, mesh, 2.25)
    current, losses = program.initialise(), []
    compiled = program.train.lower(program.abstract, step.put(batches[0], mesh)).compile()
    for batch in batches:
        current, metrics = compiled(current, step.put(batch, mesh))
        losses.append(float(metrics["loss"]))
    return np.array(losses), jax.tree.leaves(current.params), compiled.as_text()


@pytest.fixture(scope="module")
def one(batches):
    return train(batches, 1)


@pytest.mark.parametrize("devices", [2, 4, 8])
def test_devices_train_as_one(batches, one, devices):
    losses, params, _ = one
    many, params_many, text = train(batches, devices)
    np.testing.assert_allclose(many, losses, rtol=1e-5)
    assert losses[-1] < losses[0]
    for a, b in zip(params, params_many, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)  # some gradients are all rounding
        shards = [np.asarray(part.data) for part in b.addressable_shards]
        assert len(shards) == devices
        assert all(np.array_equal(part, shards[0]) for part in shards)  # the devices stay in step
    assert "all-reduce" in text
    assert not [name for name in TRAVELLERS if name in text]  # nothing but means travels


def test_nothing_but_parameters_is_kept():
    """No statistic of a device's part of the batch, which would differ from device to device."""
    kept = jax.tree.leaves(
        state.describe(MODEL)[1], is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)
    )
    assert kept and all(type(leaf) is nnx.Param for leaf in kept)
