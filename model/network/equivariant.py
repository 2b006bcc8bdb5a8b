"""Convolutions that commute with rotating the image (Cohen & Welling 2016).

A feature map of K orientations has K·C channels, orientation-major: channel k·C + c responds to the
pattern c rotated by 2πk / K, counter-clockwise as seen. Rotating the image rotates the map and
cycles its orientations, so that a maximum over them does not change. K = 1 is a plain convolution.
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
def rotation_matrices(side: int, turns: int) -> NDArray[np.float32]:
    """Return matrices that rotate a row-major kernel by 2πk / K counter-clockwise.

    A 3×3 kernel with 8 orientations is shifted along its border (Zhou et al. 2017, "Oriented
    response networks"); others are resampled bilinearly inside their disc, exactly at 90°.

    Args:
        side: of the kernel.
        turns: number of orientations (K).

    Returns:
        float32 [K, side², side²].
    """
    matrices = np.zeros((turns, side * side, side * side), np.float32)
    if (side, turns) == (3, 8):
        for k in range(8):
            matrices[k, 4, 4] = 1
            matrices[k, RING, np.roll(RING, -k)] = 1
        return matrices
    elements = np.arange(side * side)
    middle = (side - 1) / 2
    y, x = np.divmod(elements, side) - np.array([[middle], [middle]])
    disc = np.hypot(x, y) <= middle + 0.5
    for k in range(turns):
        c, s = math.cos(2 * math.pi * k / turns), math.sin(2 * math.pi * k / turns)
        source_x, source_y = c * x - s * y + middle, s * x + c * y + middle
        weight_x = np.maximum(1 - np.abs(source_x[:, None] - elements % side), 0)
        weight_y = np.maximum(1 - np.abs(source_y[:, None] - elements // side), 0)
        matrices[k] = weight_x * weight_y * disc[:, None]
    return matrices


class Conv(nnx.Module):
    """Convolution without bias, from an image (`lift`) or a map of K orientations to such a map.

    Args:
        inputs, outputs: channels per orientation.
        side: of the kernel.
        turns: number of orientations (K).
        dtype: in which it computes.
        rngs: for the initial kernel.
        stride: distance of the outputs, px.
        lift: whether the input is an image, which has no orientations.
    """

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
        """Convolve [B, H, W, K·inputs] to [B, H / stride, W / stride, K·outputs].

        With `lift` the input is [B, H, W, inputs]. "Same" padding centres the outputs on the cells
        of `model.network.grid` for an even `side` at an even stride and an odd one at stride 1.
        """
        kernel = self._all_orientations(x.shape[-1]).astype(self.dtype)
        if self.side == 1 and self.stride == 1:  # XLA's CPU backend is slow with 1×1 convolutions
            return (x.reshape(-1, x.shape[-1]) @ kernel[0, 0]).reshape(*x.shape[:-1], -1)
        return jax.lax.conv_general_dilated(
            x, kernel, (self.stride,) * 2, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def _all_orientations(self, inputs: int) -> jax.Array:
        """Return the kernels of all output orientations, [side, side, inputs, K·outputs]."""
        matrices = rotation_matrices(self.side, self.turns)
        kernel = jnp.einsum("kps,sjio->kpjio", matrices, self.kernel)
        if kernel.shape[2] > 1:
            kernel = jnp.stack([jnp.roll(rotated, k, 1) for k, rotated in enumerate(kernel)])
        return kernel.transpose(1, 2, 3, 0, 4).reshape(self.side, self.side, inputs, -1)


class Norm(nnx.Module):
    """Group normalisation (Wu & He 2018), without batch statistics.

    Groups of 16 channels where K = 1; one group for all channels where K > 1, so that it commutes
    with cycling the orientations.
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
        scale = jnp.tile(self.scale[...], self.turns)[None, None, None]
        bias = jnp.tile(self.bias[...], self.turns)[None, None, None]
        return (self.normalise(x) * scale + bias).astype(self.dtype)


def invariant(x: jax.Array, turns: int) -> jax.Array:
    """Return the maximum over orientations: [B, H, W, K·C] → [B, H, W, C]."""
    return x if turns == 1 else x.reshape(*x.shape[:3], turns, -1).max(-2)
