"""Data parallel training: many devices compute what one computes."""

import jax
import numpy as np
import pytest
from flax import nnx
from training import MODEL, TRAIN, assert_same_metrics, distance, make_set

from model.network import weights
from model.network.net import outline
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
    """Metrics of the steps, initial and last parameters by name, the compiled program's text."""
    mesh = state.make_mesh(jax.devices()[:devices])
    program = step.make_program(MODEL, TRAIN, STEPS, mesh, 2.25)
    current, steps = program.initialise(), []
    initial = jax.device_get(weights.tensors(current.params))
    compiled = program.train.lower(program.abstract, step.put(batches[0], mesh)).compile()
    for batch in batches:
        current, metrics = compiled(current, step.put(batch, mesh))
        steps.append({name: float(value) for name, value in metrics.items()})
    return steps, initial, weights.tensors(current.params), compiled.as_text()


@pytest.fixture(scope="module")
def one(batches):
    return train(batches, 1)


@pytest.mark.parametrize("devices", [2, 4, 8])
def test_devices_train_as_one(batches, one, devices):
    steps, initial, params, _ = one
    steps_many, _, params_many, text = train(batches, devices)
    for a, b in zip(steps, steps_many, strict=True):
        assert_same_metrics(a, b)
    assert steps[-1]["loss"] < steps[0]["loss"]
    params = jax.device_get(params)
    assert distance(params, jax.device_get(params_many)) < 1e-3 * distance(params, initial)
    for value in params_many.values():
        shards = [np.asarray(part.data) for part in value.addressable_shards]
        assert len(shards) == devices
        assert all(np.array_equal(part, shards[0]) for part in shards)  # the devices stay in step
    assert "all-reduce" in text
    assert not [name for name in TRAVELLERS if name in text]  # nothing but means travels


def test_nothing_but_parameters_is_kept():
    """No statistic of a device's part of the batch, which would differ from device to device."""
    kept = jax.tree.leaves(outline(MODEL)[1], is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))
    assert kept and all(type(leaf) is nnx.Param for leaf in kept)
