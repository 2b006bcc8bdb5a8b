"""Convolutions that commute with turning the image (Cohen & Welling 2016).

A map of K orientations has K·C channels, orientation-major: channel k·C + c answers to the pattern
c turned by 2πk / K, counter-clockwise as seen. Turning the image turns the map and moves its
orientations round, so that a maximum over them does not change. K = 1 is a plain convolution.
"""

from __future__ import annotations

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

RING = (0, 1, 2, 5, 8, 7, 6, 3)  # the border of a 3×3 kernel, clockwise as seen


@cache
def turned_kernels(side: int, turns: int) -> NDArray[np.float32]:
    """Matrices [K, side², side²] that turn a kernel, row-major, by 2πk / K counter-clockwise.

    A 3×3 kernel of 8 orientations moves along its border (Zhou et al. 2017, "Oriented response
    networks"); others are resampled bilinearly inside their disc, exact at quarter turns.
    """
    cells = np.arange(side * side)
    out = np.zeros((turns, side * side, side * side), np.float32)
    if (side, turns) == (3, 8):
        for k in range(8):
            out[k, 4, 4] = 1
            out[k, RING, np.roll(RING, -k)] = 1
        return out
    middle = (side - 1) / 2
    y, x = np.divmod(cells, side) - np.array([[middle], [middle]])
    disc = np.hypot(x, y) <= middle + 0.5
    for k in range(turns):
        c, s = math.cos(2 * math.pi * k / turns), math.sin(2 * math.pi * k / turns)
        from_x, from_y = c * x - s * y + middle, s * x + c * y + middle
        near_x = np.maximum(1 - np.abs(from_x[:, None] - cells % side), 0)
        near_y = np.maximum(1 - np.abs(from_y[:, None] - cells // side), 0)
        out[k] = near_x * near_y * disc[:, None]
    return out


class Conv(nnx.Module):
    """Convolution without bias from an image or a map of K orientations to a map of K."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        turns: int,
        dtype: str,
        rngs: nnx.Rngs,
        stride: int = 1,
        lift: bool = False,
    ) -> None:
        shape = (side * side, 1 if lift else turns, inputs, outputs)
        deviation = math.sqrt(2 / math.prod(shape[:3]))  # He et al. 2015
        self.kernel = nnx.Param(deviation * jax.random.normal(rngs.params(), shape))
        self.side, self.turns, self.stride, self.dtype = side, turns, stride, dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, K·inputs], [B, H, W, inputs] to lift → [B, H / stride, W / stride, K·outputs].

        "Same" padding centres the outputs on the cells of model.network.grid for an even `side` at an even
        stride and for an odd one at stride 1.
        """
        kernel = self._all_orientations(x.shape[-1]).astype(self.dtype)
        if self.side == 1 and self.stride == 1:  # a flat product: XLA's CPU backend is slow else
            return (x.reshape(-1, x.shape[-1]) @ kernel[0, 0]).reshape(*x.shape[:-1], -1)
        return jax.lax.conv_general_dilated(
            x, kernel, (self.stride,) * 2, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def _all_orientations(self, inputs: int) -> jax.Array:
        """The kernel of every output orientation: [side, side, inputs, K·outputs]."""
        kernel = jnp.einsum("kps,sjio->kpjio", turned_kernels(self.side, self.turns), self.kernel)
        if kernel.shape[2] > 1:
            kernel = jnp.stack([jnp.roll(turned, k, 1) for k, turned in enumerate(kernel)])
        return kernel.transpose(1, 2, 3, 0, 4).reshape(self.side, self.side, inputs, -1)


class Norm(nnx.Module):
    """Group normalisation (Wu & He 2018): no batch statistics.

    Groups of 16 channels; one group for all where K > 1, which a turn of the orientations keeps.
    """

    def __init__(self, channels: int, turns: int, dtype: str, rngs: nnx.Rngs) -> None:
        groups = channels // 16 if turns == 1 and channels % 16 == 0 else 1
        self.normalise = nnx.GroupNorm(
            channels * turns, groups, epsilon=1e-5, use_bias=False, use_scale=False, rngs=rngs
        )
        self.scale = nnx.Param(jnp.ones((channels,)))
        self.bias = nnx.Param(jnp.zeros((channels,)))
        self.turns, self.dtype = turns, dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, K·C] → the same shape."""
        scale, bias = (
            jnp.tile(v[...], self.turns)[None, None, None] for v in (self.scale, self.bias)
        )
        return (self.normalise(x) * scale + bias).astype(self.dtype)


def invariant(x: jax.Array, turns: int) -> jax.Array:
    """The maximum over orientations: [B, H, W, K·C] → [B, H, W, C]."""
    return x if turns == 1 else x.reshape(*x.shape[:3], turns, -1).max(-2)
