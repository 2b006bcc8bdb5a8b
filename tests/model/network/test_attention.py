"""Attention against its definition, in parts, by the TPU's kernel and by the library's function."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from model.network import attention, attention_tpu
from model.network.attention import linear_attention, softmax_attention

IMAGES, HEADS, DEPTH = 4, 3, 4
STEPS = 50


@pytest.fixture(scope="module")
def qkv():
    x = np.random.default_rng(0).normal(size=(3, IMAGES, 9, HEADS * DEPTH))
    return [part.astype(np.float32) for part in x]


@pytest.fixture(scope="module")
def gradient():
    return np.random.default_rng(1).normal(size=(IMAGES, 9, HEADS * DEPTH)).astype(np.float32)


def by_definition(q, k, v, heads, shift=0):
    """Softmax attention that keeps its map, differentiated by JAX."""
    k, v = jnp.roll(k, -shift, 0), jnp.roll(v, -shift, 0)
    q, k, v = (x.reshape(*x.shape[:2], heads, -1) for x in (q, k, v))
    weights = nnx.softmax(jnp.einsum("bnhd,bmhd->bhnm", q, k) / np.sqrt(q.shape[-1]), -1)
    return jnp.einsum("bhnm,bmhd->bnhd", weights, v).reshape(q.shape[0], q.shape[1], -1)


def gradients_by_definition(qkv, gradient, shift=0):
    _, pull_back = jax.vjp(partial(by_definition, heads=HEADS, shift=shift), *qkv)
    return pull_back(gradient)


def assert_all_close(found, expected, tolerance=1e-5):
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, atol=tolerance)


@pytest.mark.parametrize("shift", [0, 1])
def test_softmax_attention(qkv, gradient, shift):
    found, pull_back = jax.vjp(partial(softmax_attention, heads=HEADS, shift=shift), *qkv)
    np.testing.assert_allclose(found, by_definition(*qkv, HEADS, shift), atol=1e-5)
    assert_all_close(pull_back(gradient), gradients_by_definition(qkv, gradient, shift))


@pytest.mark.parametrize("queries", [3, 7, 1000])
@pytest.mark.parametrize("maps", [1, 2, 4, 1000])
def test_parts_of_any_size_give_the_same(qkv, gradient, maps, queries):
    """With 12 maps of 9 queries: the greatest common divisor of both at the same time."""
    (in_parts,) = attention._in_parts(attention._attention_of_a_part, HEADS, maps, *qkv)
    np.testing.assert_allclose(in_parts, by_definition(*qkv, HEADS), atol=1e-5)
    compute = partial(attention._gradients_of_a_part, queries)
    found = attention._in_parts(compute, HEADS, maps, *qkv, gradient)
    assert_all_close(found, gradients_by_definition(qkv, gradient))


@pytest.mark.parametrize("queries", [3, 9])
@pytest.mark.parametrize("lanes", [DEPTH, 128])
@pytest.mark.parametrize("shift", [0, 1])
def test_kernel_for_the_tpu(qkv, gradient, queries, lanes, shift, monkeypatch):
    """Interpreted on this device; `make check-tpu` compiles it for the TPU."""
    parts = attention_tpu.KernelParameters(queries=queries, lanes=lanes)
    monkeypatch.setattr(attention_tpu, "DEFAULT", parts)
    options = {"heads": HEADS, "shift": shift, "interpret": True}
    found = attention_tpu.forward(*qkv, **options)
    np.testing.assert_allclose(found, by_definition(*qkv, HEADS, shift), atol=1e-5)
    found = attention_tpu.backward(*qkv, gradient, **options)
    assert_all_close(found, gradients_by_definition(qkv, gradient, shift))


def test_kernel_for_the_tpu_in_bfloat16(qkv, gradient):
    """Sums over blocks stay in float32; the results are those of float32 up to 8 bits."""
    rounded = [x.astype(jnp.bfloat16) for x in (*qkv, gradient)]
    dq, dk, dv = attention_tpu.backward(*rounded, heads=HEADS, interpret=True)
    assert dq.dtype == dk.dtype == dv.dtype == jnp.bfloat16
    expected = gradients_by_definition(qkv, gradient)
    assert_all_close([x.astype(jnp.float32) for x in (dq, dk, dv)], expected, 0.05)


def test_library_attention(qkv):
    """The function that cuDNN computes on a GPU in 16 bits, here by XLA."""
    found = attention.library_attention(*qkv, HEADS, "xla")
    np.testing.assert_allclose(found, by_definition(*qkv, HEADS), atol=1e-5)


@pytest.mark.parametrize("shift", [0, 1])
def test_linear_attention(qkv, shift):
    """The same as with all N² weights, which it never computes."""
    q, k, v = qkv
    parts = (q, np.roll(k, -shift, 0), np.roll(v, -shift, 0))
    q, k, v = (np.asarray(attention.split_heads(x, HEADS)) for x in parts)
    q, k = (np.where(x > 0, x, np.expm1(x)) + 1 for x in (q, k))
    kernel = np.einsum("bhnd,bhmd->bhnm", q, k)
    y = np.einsum("bhnm,bhmd->bnhd", kernel / kernel.sum(-1, keepdims=True), v)
    expected = y.reshape(qkv[0].shape)
    np.testing.assert_allclose(linear_attention(*qkv, HEADS, shift), expected, atol=1e-5)


@pytest.mark.parametrize("attend", [softmax_attention, linear_attention])
def test_order_of_the_keys_does_not_matter(qkv, attend):
    q, k, v = qkv
    order = np.random.default_rng(1).permutation(9)
    shuffled = attend(q, k[:, order], v[:, order], HEADS)
    np.testing.assert_allclose(shuffled, attend(*qkv, HEADS), atol=1e-5)


@pytest.mark.parametrize("attend", [softmax_attention, linear_attention])
def test_equal_keys_give_the_mean_in_bfloat16_too(attend):
    """A thousand weights of a thousandth each add up without loss."""
    q, k = jnp.zeros((2, 1, 1000, 4), jnp.bfloat16)
    v = jnp.ones((1, 1000, 4), jnp.bfloat16)
    mean = attend(q, k, v, 1)
    assert mean.dtype == jnp.bfloat16
    np.testing.assert_allclose(mean.astype(jnp.float32), 1, atol=0.01)


def losses(attend, dtype):
    """Losses of 50 steps of gradient descent on what attention makes of fixed cells."""
    rng = np.random.default_rng(2)
    width = HEADS * DEPTH
    cells, wanted = rng.normal(size=(2, 4, 25, width)).astype(np.float32)
    params = [rng.normal(size=(width, width)).astype(np.float32) / 3 for _ in range(4)]
    optimiser = optax.adamw(3e-3)

    def loss(params):
        q, k, v = (jnp.asarray(cells @ p, dtype) for p in params[:3])
        y = attend(q, k, v, HEADS).astype(jnp.float32)
        return jnp.square(y @ params[3] - wanted).mean()

    @jax.jit
    def step(params, moments):
        value, gradient = jax.value_and_grad(loss)(params)
        updates, moments = optimiser.update(gradient, moments, params)
        return optax.apply_updates(params, updates), moments, value

    moments, found = optimiser.init(params), []
    for _ in range(STEPS):
        params, moments, value = step(params, moments)
        found.append(float(value))
    return found


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 2e-3)])
def test_training_is_that_of_the_definition(dtype, tolerance):
    found = losses(softmax_attention, dtype)
    assert found[-1] < 0.8 * found[0]
    np.testing.assert_allclose(found, losses(by_definition, dtype), rtol=tolerance)
