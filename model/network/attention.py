"""Attention between cells, without keeping the map of all weights in memory.

Softmax attention over N cells has a map of N × N weights for each head. Here only the queries, keys
and values are kept for the gradient, and the maps are computed again, a few at a time, small enough
for the caches of a CPU or the memory on the chip of a TPU (Rabe & Staats, arXiv 2112.05682; Dao et
al., arXiv 2205.14135).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

Array = jax.Array


@dataclass(frozen=True)
class AttentionParameters:
    """Size of the parts in which attention is computed."""

    # Maps of one image and one head that a CPU computes at the same time. Measured (docs/LOG.md,
    # 2026-11-30, "Attention that keeps no map"): with four it takes 1.4 to 2.3 times as long.
    maps_on_cpu: int = 1
    # Queries of such a map whose gradients a CPU computes at the same time: weights and their
    # gradients of 256 by 1,024 float32 stay in the cache. Measured with whole maps, 64, 128 and
    # 256 queries (docs/LOG.md, 2026-11-30, "A training step on a CPU").
    queries_on_cpu: int = 256
    # Bytes of the maps (float32) that a GPU computes at the same time. Chosen: a fraction of the
    # memory of any GPU, and thousands of rows for its cores. Not measured.
    map_bytes_on_gpu: int = 2**28


DEFAULT = AttentionParameters()


def linear_attention(q: Array, k: Array, v: Array, heads: int, shift: int = 0) -> Array:
    """Apply attention with the kernel elu + 1 (Katharopoulos et al. 2020), linear in N.

    Arguments and result are as in `softmax_attention`.
    """
    k, v = _shifted(shift, k, v)
    q, k, v = (split_heads(x, heads) for x in (q, k, v))
    q, k = nnx.elu(q) + 1, nnx.elu(k) + 1
    total = q @ k.sum(-2, keepdims=True).swapaxes(-1, -2)  # [B, heads, N, 1]
    return merge_heads(q @ (k.swapaxes(-1, -2) @ v) / total)


def softmax_attention(q: Array, k: Array, v: Array, heads: int, shift: int = 0) -> Array:
    """Apply scaled dot-product attention (Vaswani et al. 2017).

    Computed by a kernel of its own on a TPU, by cuDNN on a GPU in 16 bits, and otherwise in parts.

    Args:
        q, k, v: queries, keys and values, [B, N, C].
        heads: number of heads, each of C / heads channels.
        shift: the queries of image i attend to the keys and values of image (i + shift) mod B.

    Returns:
        [B, N, C] in the dtype of `v`; the softmax is computed in float32.
    """
    if jax.default_backend() == "gpu" and q.dtype != jnp.float32:  # cuDNN has 16 bits alone
        k, v = _shifted(shift, k, v)
        return library_attention(q, k, v, heads, "cudnn")
    return _attend(q, k, v, heads, shift)


def library_attention(
    q: Array, k: Array, v: Array, heads: int, implementation: Literal["cudnn", "xla"]
) -> Array:
    """Apply `jax.nn.dot_product_attention` to [B, N, C]."""
    q, k, v = (x.reshape(*x.shape[:2], heads, -1) for x in (q, k, v))
    y = jax.nn.dot_product_attention(q, k, v, implementation=implementation)
    return y.reshape(*y.shape[:2], -1)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _attend(q: Array, k: Array, v: Array, heads: int, shift: int) -> Array:
    from model.network import attention_tpu

    def in_parts(maps: int, q: Array, k: Array, v: Array) -> Array:
        return _in_parts(_attention_of_a_part, heads, maps, q, *_shifted(shift, k, v))[0]

    return jax.lax.platform_dependent(
        q,
        k,
        v,
        tpu=partial(attention_tpu.forward, heads=heads, shift=shift),
        cpu=partial(in_parts, DEFAULT.maps_on_cpu),
        default=partial(in_parts, _maps_on_gpu(q)),
    )


def _keep(
    q: Array, k: Array, v: Array, heads: int, shift: int
) -> tuple[Array, tuple[Array, Array, Array]]:
    return _attend(q, k, v, heads, shift), (q, k, v)


def _differentiate(
    heads: int, shift: int, kept: tuple[Array, Array, Array], gradient: Array
) -> tuple[Array, ...]:
    from model.network import attention_tpu

    def in_parts(
        maps: int, queries: int, q: Array, k: Array, v: Array, gradient: Array
    ) -> tuple[Array, ...]:
        inputs = q, *_shifted(shift, k, v), gradient
        dq, dk, dv = _in_parts(partial(_gradients_of_a_part, queries), heads, maps, *inputs)
        return dq, *_shifted(-shift, dk, dv)

    return jax.lax.platform_dependent(
        *kept,
        gradient,
        tpu=partial(attention_tpu.backward, heads=heads, shift=shift),
        cpu=partial(in_parts, DEFAULT.maps_on_cpu, DEFAULT.queries_on_cpu),
        default=partial(in_parts, _maps_on_gpu(gradient), gradient.shape[1]),
    )


_attend.defvjp(_keep, _differentiate)


def _shifted(shift: int, *arrays: Array) -> tuple[Array, ...]:
    """Return arrays [B, N, C] whose image i is image (i + shift) mod B of the given ones."""
    return tuple(jnp.roll(x, -shift, 0) if shift else x for x in arrays)


def split_heads(x: Array, heads: int) -> Array:
    """[B, N, C] → [B, heads, N, C / heads], the layout that matrix products need."""
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


def merge_heads(x: Array) -> Array:
    """[B, heads, N, d] → [B, N, heads · d]."""
    return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)


def weights(q: Array, k: Array) -> Array:
    """Return the weights float32 [..., N, N] of the keys (last axis) for each query [..., N, d]."""
    scale = q.shape[-1] ** -0.5
    logits = jnp.matmul(q, k.swapaxes(-1, -2), preferred_element_type=jnp.float32) * scale
    return nnx.softmax(logits, -1)


def weights_with_gradient(q: Array, k: Array, v: Array, gradient: Array) -> tuple[Array, Array]:
    """Return the weights of one head and the gradient with respect to q·k, in the dtype of q.

    The weights are computed again (Dao et al., arXiv 2205.14135, appendix B.2).

    Args:
        q, k, v: [..., N, d].
        gradient: of the loss with respect to the head's output, [..., N, d].

    Returns:
        Both [..., N, N], the keys on the last axis.
    """
    p = weights(q, k)
    dp = product(gradient, v.swapaxes(-1, -2))
    ds = p * (dp - (p * dp).sum(-1, keepdims=True)) * q.shape[-1] ** -0.5
    return p.astype(q.dtype), ds.astype(q.dtype)


def product(a: Array, b: Array) -> Array:
    """Return the matrix product, summed in float32."""
    return jnp.matmul(a, b, preferred_element_type=jnp.float32)


def _attention_of_a_part(parts: tuple[Array, Array, Array]) -> tuple[Array]:
    q, k, v = parts
    return (weights(q, k).astype(v.dtype) @ v,)


def _gradients_of_a_part(
    queries: int, parts: tuple[Array, Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """Return the gradients of some heads, from `queries` of their queries at a time."""
    q, k, v, gradient = parts
    heads, count, depth = q.shape
    blocks = count // math.gcd(count, queries)

    def cut(x: Array) -> Array:
        return x.reshape(heads, blocks, -1, depth).swapaxes(0, 1)

    def add(total: tuple[Array, Array], block: tuple[Array, Array]) -> tuple[Any, Array]:
        q, gradient = block
        p, ds = weights_with_gradient(q, k, v, gradient)
        # XLA copies a transposed map on a CPU, so the small factors are transposed, dk and dv too
        dk, dv = product(q.swapaxes(1, 2), ds), product(gradient.swapaxes(1, 2), p)
        return (total[0] + dk, total[1] + dv), product(ds, k)

    zeros = jnp.zeros((heads, depth, k.shape[1]), jnp.float32)
    (dk, dv), dq = jax.lax.scan(add, (zeros, zeros), (cut(q), cut(gradient)))
    dq, dk, dv = dq.swapaxes(0, 1).reshape(q.shape), dk.swapaxes(1, 2), dv.swapaxes(1, 2)
    return dq.astype(q.dtype), dk.astype(k.dtype), dv.astype(v.dtype)


def _in_parts(
    compute: Callable[..., tuple[Array, ...]], heads: int, maps: int, *inputs: Array
) -> tuple[Array, ...]:
    """Apply `compute` to parts of the heads of all images, one part after the other.

    Args:
        compute: from the inputs of a part, each [K, N, C / heads], to its outputs.
        heads: number of heads.
        maps: largest K; the largest common divisor with all heads of all images is taken.
        inputs: [B, N, C] each.

    Returns:
        The outputs, [B, N, C] each.
    """
    batch, count, width = inputs[0].shape
    together = math.gcd(batch * heads, maps)
    shape = (batch * heads // together, together, count, width // heads)
    parts = tuple(split_heads(x, heads).reshape(shape) for x in inputs)
    outputs = jax.lax.map(compute, parts)
    return tuple(merge_heads(x.reshape(batch, heads, count, -1)) for x in outputs)


def _maps_on_gpu(x: Array) -> int:
    """Largest power of two of maps of float32 that a GPU computes at the same time."""
    maps = max(DEFAULT.map_bytes_on_gpu // (4 * x.shape[1] ** 2), 1)
    return 1 << (maps.bit_length() - 1)


ATTENTION = {"softmax": softmax_attention, "linear": linear_attention}
