"""Pixel and cell conventions of the matching grid.

Coordinates are (x, y) in px, the centre of the top-left pixel is (0, 0) and an image of width W
spans [-0.5, W - 0.5). The cell of stride s with index i has its centre at s·i + (s - 1) / 2.
Dimension letters, used in every docstring: B batch, H W image, G cells per side, N = G² cells of a
grid in row-major order, C channels, K matches.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def centres(cells: int, stride: int) -> jax.Array:
    """Return the cell centres (x, y) float32 [N, 2] in px, row-major.

    Args:
        cells: per side (G).
        stride: side of a cell, px.
    """
    position = jnp.arange(cells, dtype=jnp.float32) * stride + (stride - 1) / 2
    y, x = jnp.meshgrid(position, position, indexing="ij")
    return jnp.stack([x, y], -1).reshape(-1, 2)


def cell_of(points: jax.Array, cells: int, stride: int) -> jax.Array:
    """Return the row-major index int32 [...] of the cell that contains each point (x, y) [..., 2].

    A point outside the grid gets the nearest cell of the border.
    """
    index = jnp.clip(jnp.floor((points + 0.5) / stride), 0, cells - 1).astype(jnp.int32)
    return index[..., 1] * cells + index[..., 0]


def pool_truth(map_ab: jax.Array, visible: jax.Array, cells: int) -> tuple[jax.Array, jax.Array]:
    """Reduce the ground truth of a fine grid to a coarser one.

    A coarse cell is visible where all its parts are, and its point is their mean. This is exact for
    affine maps, since the centre of a cell is the mean of its parts' centres.

    Args:
        map_ab: float32 [B, G, G, 2], (x, y) px in B; may be NaN where not visible.
        visible: bool [B, G, G].
        cells: per side of the coarse grid, a divisor of G.

    Returns:
        Points float32 [B, N, 2], zero where not visible, and visible bool [B, N].

    Raises:
        ValueError: `cells` does not divide G.
    """
    batch, side = visible.shape[:2]
    if side % cells:
        raise ValueError(f"a ground truth of {side} cells per side cannot be pooled to {cells}")
    part = side // cells
    clean = jnp.where(visible[..., None], map_ab, 0.0).astype(jnp.float32)
    points = clean.reshape(batch, cells, part, cells, part, 2).mean((2, 4))
    all_visible = visible.reshape(batch, cells, part, cells, part).all((2, 4))
    points = jnp.where(all_visible[..., None], points, 0.0)
    return points.reshape(batch, cells * cells, 2), all_visible.reshape(batch, cells * cells)
