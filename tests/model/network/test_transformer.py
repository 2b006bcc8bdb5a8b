"""The encoding of positions, and the transformer when images are exchanged."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from model.network.config import ModelConfig
from model.network.transformer import Transformer, position_encoding

CONFIG = ModelConfig(
    image_size=16, stem_channels=8, stage_channels=(8, 8), width=16, layers=2, heads=2, mlp=16
)


def test_position_encoding_differs_between_cells():
    """Row-major, x in the first half of the channels and y in the second."""
    code = np.asarray(position_encoding(8, 16)).reshape(8, 8, 16)
    np.testing.assert_array_equal(code[..., :8], np.broadcast_to(code[:1, :, :8], (8, 8, 8)))
    np.testing.assert_array_equal(code[..., 8:], code[..., :8].swapaxes(0, 1))
    np.testing.assert_allclose(code[0, :, 0], np.sin(np.arange(8)), atol=1e-6)
    flat = code.reshape(64, 16)
    distance = np.linalg.norm(flat[:, None] - flat[None], axis=-1) + 9 * np.eye(64)
    assert distance.min() > 0.1


@pytest.fixture(scope="module")
def encode():
    graph, state = nnx.split(Transformer(CONFIG, nnx.Rngs(0)))
    return jax.jit(lambda x: nnx.merge(graph, state)(x))


@pytest.fixture(scope="module")
def cells():
    x = np.random.default_rng(2).normal(size=(4, CONFIG.cells**2, CONFIG.width))
    return x.astype(np.float32)


def test_exchanged_images_exchange_their_features(encode, cells):
    a, b = np.split(np.asarray(encode(cells)), 2)
    swapped = encode(np.roll(cells, 2, 0))
    np.testing.assert_allclose(swapped, np.concatenate([b, a]), atol=1e-5)


def test_pairs_are_independent_but_partners_are_not(encode, cells):
    """Images 0 and 2 are a pair, 1 and 3 another."""
    changed = cells.copy()
    changed[2] += np.random.default_rng(3).normal(size=changed[2].shape)
    change = np.abs(np.asarray(encode(changed)) - np.asarray(encode(cells))).max((1, 2))
    assert change[0] > 1e-3 and change[2] > 1e-3
    assert max(change[1], change[3]) < 1e-5


def test_without_attention_features_do_not_depend_on_positions(cells):
    """Permuted cells stay permuted, and the mean over the cells of an image is subtracted."""
    without_layers = Transformer(dataclasses.replace(CONFIG, layers=0), nnx.Rngs(0))
    order = np.random.default_rng(4).permutation(cells.shape[1])
    plain = np.asarray(without_layers(cells))
    np.testing.assert_allclose(without_layers(cells[:, order]), plain[:, order], atol=1e-5)
    np.testing.assert_allclose(
        without_layers(cells + np.float32(3) * cells[:1, :1]), plain, atol=1e-4
    )


def test_attention_depends_on_positions(encode, cells):
    order = np.random.default_rng(4).permutation(cells.shape[1])
    assert (
        np.abs(np.asarray(encode(cells[:, order])) - np.asarray(encode(cells))[:, order]).max()
        > 1e-3
    )
