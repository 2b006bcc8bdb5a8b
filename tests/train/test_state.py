"""The optimiser's schedule and decay, the devices, the first state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training import MODEL, TRAIN

from shards.foundation.errors import Misuse
from train import state


@pytest.mark.parametrize("steps", [1, 2, 3, 40, 1000])
def test_schedule_covers_the_real_number_of_steps(steps):
    rate = state.schedule(TRAIN, steps)
    values = np.array([rate(k) for k in range(steps + 1)])
    assert values[-1] == pytest.approx(0, abs=1e-9)
    assert values.max() == pytest.approx(TRAIN.learning_rate, rel=1e-2) or steps < 3
    peak = int(values.argmax())
    assert peak == max(1, round(0.05 * steps)) or steps == 1
    assert (np.diff(values[: peak + 1]) > 0).all() and (np.diff(values[peak:]) < 0).all()
    assert values[:-1].max() > 0  # even the shortest run learns


def test_only_matrices_decay():
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2), "scale": jnp.ones(())}
    optimiser = state.optimiser(TRAIN, 10)
    zero = jax.tree.map(jnp.zeros_like, params)
    inner = optimiser.init(params)
    for _ in range(3):  # beyond the first step, whose rate is 0
        updates, inner = optimiser.update(zero, inner, params)
    decay = state.schedule(TRAIN, 10)(2) * TRAIN.weight_decay
    assert decay > 0
    np.testing.assert_allclose(updates["kernel"], -decay, rtol=1e-5)
    assert not updates["bias"].any() and not updates["scale"].any()


def test_gradient_is_clipped_as_a_whole():
    params = {"a": jnp.zeros(3), "b": jnp.zeros(4)}
    clip = state.optimiser(TRAIN, 10).update
    gradient = jax.tree.map(lambda p: jnp.full_like(p, 1e6), params)
    small = jax.tree.map(lambda p: jnp.full_like(p, 1 / np.sqrt(7)), params)
    inner = state.optimiser(TRAIN, 10).init(params)
    big, little = clip(gradient, inner, params)[1], clip(small, inner, params)[1]
    for one, two in zip(jax.tree.leaves(big), jax.tree.leaves(little), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5)


def test_devices():
    assert len(state.find_devices(8)) == 8
    assert len(state.find_devices(3)) == 3
    with pytest.raises(Misuse, match=r"--devices 9: JAX finds 8 × cpu"):
        state.find_devices(9)


@pytest.mark.parametrize(
    ("kind", "way_out"), [("tpu", "make train-tpu PLATFORM=cpu"), ("gpu", "nvidia-smi")]
)
def test_required_device_is_missing(kind, way_out):
    with pytest.raises(Misuse, match=f"no {kind.upper()} here: JAX finds 8 × cpu") as misuse:
        state.find_devices(require=kind)
    assert way_out in str(misuse.value)


def test_shapes_are_known_without_computing():
    mesh = state.make_mesh(jax.devices()[:2])
    optimiser = state.optimiser(TRAIN, 10)
    shapes = state.abstract(MODEL, optimiser, mesh)
    made = state.make_initialise(MODEL, 0, optimiser, mesh)()
    described = [(x.shape, x.dtype, x.sharding) for x in jax.tree.leaves(shapes)]
    assert described == [(x.shape, x.dtype, x.sharding) for x in jax.tree.leaves(made)]
    assert jax.tree.structure(shapes) == jax.tree.structure(made)
    assert made.step.sharding.is_fully_replicated and len(made.step.devices()) == 2
