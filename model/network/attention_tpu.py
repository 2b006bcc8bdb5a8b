"""Softmax attention on a TPU core, whose maps of weights never leave the chip (Pallas).

The images of a batch are computed one after the other, a group of heads at a time, and the queries
of an image in blocks, with all keys and values of these heads in the memory on the chip. Heads are
slices of the channels, so that nothing is transposed or padded in the main memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from model.network import attention


@dataclass(frozen=True)
class KernelParameters:
    """Sizes of the kernels' parts."""

    # Largest number of queries of a block. Chosen: the side of the matrix unit.
    queries: int = 128
    # Channels of a group of heads. The lanes of a vector register.
    lanes: int = 128
    # Memory on the chip that a kernel may use, bytes, of 128 MiB of a v5e core (system architecture
    # pages of Google Cloud TPU). Chosen: half.
    memory: int = 64 * 2**20


DEFAULT = KernelParameters()


def forward(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    *,
    heads: int,
    shift: int = 0,
    interpret: bool = False,
) -> jax.Array:
    """Apply softmax attention, as `model.network.attention.softmax_attention`.

    Args:
        q, k, v: [B, N, C].
        heads, shift: as in `softmax_attention`.
        interpret: run on any device, slowly, for tests.

    Returns:
        [B, N, C] in the dtype of `q`.
    """
    products = 2  # queries by keys, weights by values
    return _call(_forward_kernel, (q, k, v), "qkk", "q", heads, shift, products, interpret)[0]


def backward(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    gradient: jax.Array,
    *,
    heads: int,
    shift: int = 0,
    interpret: bool = False,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the gradients with respect to q, k and v.

    Args:
        q, k, v: [B, N, C].
        gradient: of the loss with respect to the output of `forward`, [B, N, C].
        heads, shift: as in `softmax_attention`.
        interpret: run on any device, slowly, for tests.
    """
    products = 5  # the map again, the gradient of the map, and those of q, k and v
    inputs = q, k, v, gradient
    dq, dk, dv = _call(_backward_kernel, inputs, "qkkq", "qss", heads, shift, products, interpret)
    return dq, dk.astype(k.dtype), dv.astype(v.dtype)


def _forward_kernel(q: Any, k: Any, v: Any, out: Any, *, heads: int) -> None:
    """Compute a group of heads for one block of queries."""
    for part in _channels(q, heads):
        p = attention.weights(q[0, :, part], k[0, :, part]).astype(v.dtype)
        y = jnp.dot(p, v[0, :, part], preferred_element_type=jnp.float32)
        out[0, :, part] = y.astype(out.dtype)


def _backward_kernel(
    q: Any, k: Any, v: Any, gradient: Any, dq: Any, dk: Any, dv: Any, *, heads: int
) -> None:
    """Compute the gradients of one block of queries; those of keys and values are added up."""

    @pl.when(pl.program_id(2) == 0)
    def _() -> None:
        dk[...] = jnp.zeros(dk.shape, dk.dtype)
        dv[...] = jnp.zeros(dv.shape, dv.dtype)

    for part in _channels(q, heads):
        head_q, head_k, head_v, head_gradient = (x[0, :, part] for x in (q, k, v, gradient))
        p, ds = attention.weights_with_gradient(head_q, head_k, head_v, head_gradient)
        transposed_p, transposed_ds = p.swapaxes(-1, -2), ds.swapaxes(-1, -2)
        dq[0, :, part] = attention.product(ds, head_k).astype(dq.dtype)
        dk[0, :, part] += attention.product(transposed_ds, head_q).astype(dk.dtype)
        dv[0, :, part] += attention.product(transposed_p, head_gradient).astype(dv.dtype)


def _channels(x: Any, heads: int) -> list[slice]:
    """List the channels of each head."""
    depth = x.shape[-1] // heads
    return [slice(head * depth, (head + 1) * depth) for head in range(heads)]


def _call(
    kernel: Callable[..., None],
    inputs: tuple[jax.Array, ...],
    reads: str,
    writes: str,
    heads: int,
    shift: int,
    products: int,
    interpret: bool,
) -> list[jax.Array]:
    """Run a kernel over images, groups of heads and blocks of queries.

    Args:
        kernel: takes references to a block of each input and output.
        inputs: each [B, N, C].
        reads: for each input, "q" for the block of queries and "k" for all cells of the image that
            they attend to.
        writes: for each output, "q" as above and "s" for a sum over the blocks in float32, of all
            cells of the image that they attend to.
        heads, shift: see `forward`.
        products: matrix products of N × N × C that the kernel computes, for the compiler.
        interpret: see `forward`.
    """
    batch, count, width = inputs[0].shape
    block, groups = _block(count), _groups(width, heads)
    lanes = width // groups

    def place(image: int, group: int, row: int) -> tuple[int, int, int]:
        return image, row, group

    def place_of_keys(image: int, group: int, row: int) -> tuple[int, int, int]:
        return (image + shift) % batch, 0, group

    queries = pl.BlockSpec((1, block, lanes), place)
    keys = pl.BlockSpec((1, count, lanes), place_of_keys)
    specs = {"q": queries, "k": keys, "s": keys}
    out_dtypes = [inputs[0].dtype if kind == "q" else jnp.float32 for kind in writes]
    outputs = [jax.ShapeDtypeStruct(inputs[0].shape, dtype) for dtype in out_dtypes]
    return pl.pallas_call(
        partial(kernel, heads=heads // groups),
        out_shape=outputs,
        grid=(batch, groups, count // block),
        in_specs=[specs[kind] for kind in reads],
        out_specs=[specs[kind] for kind in writes],
        interpret=interpret,
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "arbitrary"),
            vmem_limit_bytes=DEFAULT.memory,
        ),
        cost_estimate=pl.CostEstimate(
            flops=2 * products * batch * count * count * width,
            transcendentals=batch * heads * count * count,
            bytes_accessed=sum(x.size * x.dtype.itemsize for x in inputs)
            + sum(x.size * x.dtype.itemsize for x in outputs),
        ),
    )(*inputs)


def _block(count: int) -> int:
    """Return the largest number of queries of a block that divides the cells."""
    return next(size for size in range(min(DEFAULT.queries, count), 0, -1) if count % size == 0)


def _groups(width: int, heads: int) -> int:
    """Return the number of groups of heads: each fills the lanes, or there is a single one."""
    lanes = DEFAULT.lanes
    return width // lanes if width % lanes == 0 and lanes % (width // heads) == 0 else 1
