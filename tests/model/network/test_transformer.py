"""Attention against its definition, and what the transformer keeps when images are swapped."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from model.network.config import ModelConfig
from model.network.transformer import (
    Transformer,
    linear_attention,
    position_encoding,
    softmax_attention,
)

CONFIG = ModelConfig(
    image_size=16, stem_channels=8, stage_channels=(8, 8), width=16, layers=2, heads=2, mlp=16
)


@pytest.fixture(scope="module")
def qkv():
    return [x.astype(np.float32) for x in np.random.default_rng(0).normal(size=(3, 2, 3, 9, 4))]


def weighted(kernel, v):
    """The sum of values by a kernel [B, heads, N, N] normalised over the keys."""
    return np.einsum("bhnm,bhmd->bhnd", kernel / kernel.sum(-1, keepdims=True), v)


def test_softmax_attention(qkv):
    q, k, v = qkv
    kernel = np.exp(np.einsum("bhnd,bhmd->bhnm", q, k) / np.sqrt(4))
    np.testing.assert_allclose(softmax_attention(*qkv), weighted(kernel, v), atol=1e-5)


def test_linear_attention_is_attention_by_its_kernel(qkv):
    """The same as all N² weights written out, which it never forms."""
    q, k = (np.where(x > 0, x, np.expm1(x)) + 1 for x in qkv[:2])
    kernel = np.einsum("bhnd,bhmd->bhnm", q, k)
    np.testing.assert_allclose(linear_attention(*qkv), weighted(kernel, qkv[2]), atol=1e-5)


@pytest.mark.parametrize("attention", [softmax_attention, linear_attention])
def test_keys_have_no_order(qkv, attention):
    q, k, v = qkv
    order = np.random.default_rng(1).permutation(9)
    np.testing.assert_allclose(
        attention(q, k[:, :, order], v[:, :, order]), attention(*qkv), atol=1e-5
    )


@pytest.mark.parametrize("attention", [softmax_attention, linear_attention])
def test_equal_keys_give_the_mean_in_bfloat16_too(attention):
    """A thousand weights of a thousandth each lose nothing in the sum."""
    q, k = jnp.zeros((2, 1, 1, 1000, 4), jnp.bfloat16)
    v = jnp.ones((1, 1, 1000, 4), jnp.bfloat16)
    found = attention(q, k, v)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(jnp.float32), 1, atol=0.01)


def test_position_encoding_tells_cells_apart():
    """Row-major, x in the first half of the channels and y in the second."""
    code = np.asarray(position_encoding(8, 16)).reshape(8, 8, 16)
    np.testing.assert_array_equal(code[..., :8], np.broadcast_to(code[:1, :, :8], (8, 8, 8)))
    np.testing.assert_array_equal(code[..., 8:], code[..., :8].swapaxes(0, 1))
    np.testing.assert_allclose(code[0, :, 0], np.sin(np.arange(8)), atol=1e-6)
    flat = code.reshape(64, 16)
    apart = np.linalg.norm(flat[:, None] - flat[None], axis=-1) + 9 * np.eye(64)
    assert apart.min() > 0.1


@pytest.fixture(scope="module")
def encode():
    graph, state = nnx.split(Transformer(CONFIG, nnx.Rngs(0)))
    return jax.jit(lambda x: nnx.merge(graph, state)(x))


@pytest.fixture(scope="module")
def cells():
    x = np.random.default_rng(2).normal(size=(4, CONFIG.cells**2, CONFIG.width))
    return x.astype(np.float32)


def test_swapped_images_swap_their_features(encode, cells):
    a, b = np.split(np.asarray(encode(cells)), 2)
    swapped = encode(np.roll(cells, 2, 0))
    np.testing.assert_allclose(swapped, np.concatenate([b, a]), atol=1e-5)


def test_pairs_do_not_see_each_other_but_partners_do(encode, cells):
    """Images 0 and 2 are a pair, 1 and 3 another."""
    changed = cells.copy()
    changed[2] += np.random.default_rng(3).normal(size=changed[2].shape)
    moved = np.abs(np.asarray(encode(changed)) - np.asarray(encode(cells))).max((1, 2))
    assert moved[0] > 1e-3 and moved[2] > 1e-3
    assert max(moved[1], moved[3]) < 1e-5


def test_without_attention_features_know_no_place(cells):
    """Cells exchanged stay exchanged, and what all cells of an image share is taken off."""
    still = Transformer(dataclasses.replace(CONFIG, layers=0), nnx.Rngs(0))
    order = np.random.default_rng(4).permutation(cells.shape[1])
    plain = np.asarray(still(cells))
    np.testing.assert_allclose(still(cells[:, order]), plain[:, order], atol=1e-5)
    np.testing.assert_allclose(still(cells + np.float32(3) * cells[:1, :1]), plain, atol=1e-4)


def test_attention_knows_places(encode, cells):
    order = np.random.default_rng(4).permutation(cells.shape[1])
    assert (
        np.abs(np.asarray(encode(cells[:, order])) - np.asarray(encode(cells))[:, order]).max()
        > 1e-3
    )
