"""Pixel and cell conventions of the matching grid.

Coordinates are (x, y) in px, the centre of the top-left pixel is (0, 0) and an image of width W
spans [-0.5, W - 0.5). The cell of stride s with index i has its centre at s·i + (s - 1) / 2.
Dimension letters, used in every docstring: B batch, H W image, G cells along one side,
N = G² cells of a grid in row-major order, C channels, K matches.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def centres(cells: int, stride: int) -> jax.Array:
    """Cell centres (x, y) float32 [N, 2], px, row-major."""
    at = jnp.arange(cells, dtype=jnp.float32) * stride + (stride - 1) / 2
    y, x = jnp.meshgrid(at, at, indexing="ij")
    return jnp.stack([x, y], -1).reshape(-1, 2)


def cell_of(points: jax.Array, cells: int, stride: int) -> jax.Array:
    """Row-major index int32 [...] of the cell that holds each point (x, y) [..., 2], clipped."""
    index = jnp.clip(jnp.floor((points + 0.5) / stride), 0, cells - 1).astype(jnp.int32)
    return index[..., 1] * cells + index[..., 0]
