"""One step: its numbers, micro-batches, batch sizes, and that it learns."""

import dataclasses

import jax
import numpy as np
import pytest
from training import JUMPS, MODEL, TRAIN, assert_same_metrics, distance, make_set

from model.network import weights
from shards.batch import read_batch
from shards.foundation.errors import Misuse
from train import state, step

SCALE = 72 / 32
GOLDEN = {
    "match": 12.12578010559082,
    "unmatchable": 1.1927608251571655,
    "refine": 0.09377379715442657,
    "loss": 12.769046783447266,
    "grad_norm": 17.67745018005371,
}


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    return read_batch(
        make_set(tmp_path_factory.mktemp("set"), train=8, val=0), "train", np.arange(8)
    )


def learn(batch, steps, config=TRAIN, devices=1):
    """Metrics of each step on one batch, and the last state."""
    mesh = state.make_mesh(jax.devices()[:devices])
    program = step.make_program(MODEL, config, 100, mesh, SCALE)
    current, found = program.initialise(), []
    with jax.transfer_guard("disallow"):
        for _ in range(steps):
            current, metrics = program.train(current, step.put(batch, mesh))
            found.append(jax.device_get(metrics))
    return found, current


def test_golden_one_step(batch):
    metrics = learn(batch, 1)[0][0]
    found = {name: float(metrics[name]) for name in GOLDEN}
    expected = {name: pytest.approx(GOLDEN[name], rel=JUMPS.get(name, 1e-4)) for name in GOLDEN}
    assert found == expected, (
        "the first step on fixed data gives other numbers: right after a change to the network, "
        f"the loss or tests/support/pairs.py (then renew GOLDEN with {found}), else a bug"
    )


def test_learns_one_batch(batch):
    metrics, last = learn(batch, 60)
    assert metrics[-1]["loss"] < 0.8 * metrics[0]["loss"]
    assert int(last.step) == 60
    assert metrics[0]["learning_rate"] == 0 and metrics[5]["learning_rate"] == pytest.approx(1e-3)


def test_micro_batches_are_the_whole_batch(batch):
    whole, one = learn(batch, 5)
    parts, four = learn(batch, 5, dataclasses.replace(TRAIN, accumulate=4))
    for a, b in zip(whole, parts, strict=True):
        assert_same_metrics(a, b)
    one, four = (jax.device_get(weights.tensors(last.params)) for last in (one, four))
    initial = jax.device_get(weights.tensors(learn(batch, 0)[1].params))
    assert distance(one, four) < 1e-3 * distance(one, initial)


def test_evaluation_is_the_same_in_any_batching(batch):
    mesh = state.make_mesh(jax.devices()[:1])
    program = step.make_program(MODEL, TRAIN, 100, mesh, SCALE)
    params = program.initialise().params
    turned = {name: value[::-1] for name, value in batch.items()}
    one = jax.device_get(program.evaluate(params, step.put(batch, mesh)))
    two = jax.device_get(program.evaluate(params, step.put(turned, mesh)))
    assert one["error"].shape == (8, 64)
    np.testing.assert_allclose(one["error"], two["error"][::-1], atol=1e-3)


@pytest.mark.parametrize(
    ("size", "accumulate", "devices", "nearest"),
    [
        (100, 1, 8, "96 or 104"),
        (4, 1, 8, "8"),
        (128, 3, 8, "120 or 144"),
        (9, 2, 1, "8 or 10"),
    ],
)
def test_indivisible_batch(size, accumulate, devices, nearest):
    with pytest.raises(Misuse, match=rf"train\.batch_size={size} .* that do: {nearest}$"):
        step.check_batch(size, accumulate, devices)


def test_divisible_batch():
    step.check_batch(128, 2, 8)
