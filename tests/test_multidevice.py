"""Data parallel training: many devices compute what one computes."""

import jax
import numpy as np
import pytest
from training import MODEL, TRAIN, make_set

from train import state, step
from train.loader import TrainingBatches

STEPS = 12


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


def test_eight_devices_train_as_one(batches):
    one, params_one, _ = train(batches, 1)
    eight, params_eight, text = train(batches, 8)
    np.testing.assert_allclose(eight, one, rtol=1e-5)
    assert one[-1] < one[0]
    for a, b in zip(params_one, params_eight, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        shards = [np.asarray(part.data) for part in b.addressable_shards]
        assert all(np.array_equal(part, shards[0]) for part in shards)  # the devices stay in step
    assert "all-reduce" in text
    others = ("all-gather", "all-to-all", "collective-permute", "reduce-scatter")
    assert not [name for name in others if name in text]  # nothing but means travels
