"""The whole network: determinism, rotation of an image, exchange of both images."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from model.network.config import ModelConfig
from model.network.net import create

CONFIG = ModelConfig(
    image_size=32,
    contrast_window=4.0,
    rotations=4,
    stem_channels=2,
    stage_channels=(2, 4),
    blocks=1,
    width=16,
    layers=1,
    heads=2,
    mlp=16,
)
G = CONFIG.cells


def parameters(config, seed):
    return jax.tree.leaves(nnx.state(create(config, seed)))


def match(config, a, b):
    """Matches of images, jitted."""
    graph, state = nnx.split(create(config, 0))
    return jax.jit(lambda a, b: nnx.merge(graph, state)(a, b))(a, b)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 2, 32, 32), np.uint8)


def test_parameters_depend_on_the_seed():
    first, again, other = (parameters(CONFIG, seed) for seed in (0, 0, 1))
    assert all((x == y).all() for x, y in zip(first, again, strict=True))
    assert any((x != y).any() for x, y in zip(first, other, strict=True))


def test_parameters_are_float32_for_any_compute_dtype():
    half = dataclasses.replace(CONFIG, compute_dtype="bfloat16")
    assert {str(x.dtype) for x in parameters(half, 0)} == {"float32"}


def test_exchanged_images_transpose_the_matches(images):
    forward, backward = match(CONFIG, *images), match(CONFIG, *images[::-1])
    np.testing.assert_allclose(forward.log_match, backward.log_match.swapaxes(1, 2), atol=1e-3)
    np.testing.assert_allclose(forward.matchable_a, backward.matchable_b, atol=1e-3)


def test_rotation_of_one_image_rotates_its_cells(images):
    """Exactly by 90°, without attention, which depends on positions."""
    config = dataclasses.replace(CONFIG, layers=0)
    rotated = np.stack([images[0], np.rot90(images[1], axes=(1, 2))])
    log_match = match(config, *rotated).log_match.reshape(-1, G * G, G, G)
    expected = np.rot90(match(config, *images).log_match.reshape(log_match.shape), axes=(2, 3))
    np.testing.assert_allclose(log_match, expected, atol=1e-3)


def test_image_matches_itself_cell_by_cell(images):
    """Even untrained: equal features are similar, and different cells of noise are not."""
    config = dataclasses.replace(CONFIG, layers=0)
    untrained = create(config, 0)
    untrained.refiner.offset.kernel[...] = jnp.zeros_like(untrained.refiner.offset.kernel[...])
    graph, state = nnx.split(untrained)

    @jax.jit
    def correspond(a, b):
        net = nnx.merge(graph, state)
        return net.correspond(net(a, b))

    correspondences = correspond(images[0], images[0])
    assert np.asarray(correspondences.mutual).all()
    position = np.arange(G) * config.stride + (config.stride - 1) / 2
    expected = np.broadcast_to(
        np.stack(np.meshgrid(position, position), -1).reshape(1, -1, 2), (2, G * G, 2)
    )
    np.testing.assert_allclose(correspondences.points, expected, atol=1e-4)
