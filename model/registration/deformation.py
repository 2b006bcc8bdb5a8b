"""From matches to a smooth map that is defined everywhere and folds nowhere.

The map is a similarity plus a displacement, and the displacement is a Gaussian process with a
squared-exponential covariance, observed at the matches with noise (kriging; Rasmussen & Williams
2006, section 2.2). So it follows the skin where matches are dense, and fades into the similarity
away from them, where a thin-plate spline would run off. Matches far from their neighbours' common
displacement lose their weight (iterated with the weights of Geman & McClure 1985). All points are
px at 500 ppi.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.registration import similarity
from pipeline.imaging.warp import apply_affine, invert_affine, pixel_grid

RADIUS = 12.0  # px, agreement with the similarity: the skin's distortion may add up to this
DEVIATION = 6.0  # px, of the displacement about the similarity
LENGTH = 60.0  # px, over which the displacement stays alike
NOISE = 3.0  # px, of a match with confidence 1; errors of neighbours go together, so it is high
ANCHORS = 45.0  # px between the points that the displacement is expressed by
STEP = 8  # px between the nodes of the displacement
MARGIN = 2  # nodes beyond the frame on all sides, over which a map and its inverse run on smoothly
NEWTON = 6  # steps to the inverse; four suffice where it was measured
STEEPEST = 0.2  # least ratio of areas, map to similarity, that is no fold


@dataclass(frozen=True, eq=False)
class Deformation:
    """A similarity and a displacement at nodes STEP px apart, linear between them."""

    matrix: NDArray[np.float64]  # [2, 3], px of A → px of B
    nodes: NDArray[np.float64]  # [Gy, Gx, 2], displacement (x, y) in px of B
    agrees: NDArray[np.bool_]  # [K], the matches that the map explains

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points of B, float64 [..., 2], of points of A [..., 2]."""
        last = np.array(self.nodes.shape[1::-1]) - 1
        at = (points / STEP + MARGIN).clip(0, last)
        cell = np.minimum(at.astype(np.intp), last - 1)
        (x, y), part = np.moveaxis(cell, -1, 0), at - cell
        right, low = part[..., :1], part[..., 1:]
        above = self.nodes[y, x] * (1 - right) + self.nodes[y, x + 1] * right
        below = self.nodes[y + 1, x] * (1 - right) + self.nodes[y + 1, x + 1] * right
        return apply_affine(self.matrix, points) + above * (1 - low) + below * low

    def on_grid(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same, [H, W, 2], of the points of A at columns x [W] and rows y [H]; cheaper."""
        down, across = (
            _hat(at / STEP + MARGIN, n) for at, n in zip((y, x), self.nodes.shape, strict=False)
        )
        return np.stack(
            [
                down @ self.nodes[..., k] @ across.T + (a * x + (b * y + c)[:, None])
                for k, (a, b, c) in enumerate(self.matrix)
            ],
            -1,
        )


def fit_deformation(
    matches: NDArray[np.floating], shape: tuple[int, int], radius: float = RADIUS, seed: int = 0
) -> Deformation | None:
    """The smooth map over an image A of `shape` (height, width) that the matches [K, 5] support.

    Columns: x_a, y_a, x_b, y_b, confidence in (0, 1]. None where too few agree on one similarity.
    The linear interpolation of the nodes has a positive Jacobian everywhere.
    """
    rigid = similarity.fit_similarity(matches, radius, seed)
    if rigid is None:
        return None
    a = matches[:, :2].astype(np.float64)
    residual = matches[:, 2:4] - apply_affine(rigid.matrix, a)
    prior = _Prior(a)
    weight, agrees = _agreement(prior, residual, matches[:, 4] * rigid.agrees, matches[:, 4])
    stiff = Deformation(rigid.matrix, np.zeros_like(_grid(shape)), agrees)
    return _bent(stiff, prior, residual, weight)


def invert_deformation(found: Deformation, shape: tuple[int, int]) -> Deformation:
    """The map from B, an image of `shape` (height, width), back to A: exact at its own nodes.

    Newton's method, from the similarity; `found` folds nowhere, so that there is one solution.
    """
    grid, back = _grid(shape), invert_affine(found.matrix)
    at = apply_affine(back, grid)
    for _ in range(NEWTON):
        off = found(at) - grid
        (a, c), (b, d) = (
            np.moveaxis(found(at + step) - found(at - step), -1, 0) for step in np.eye(2) / 2
        )
        area = np.maximum(a * d - b * c, STEEPEST * np.linalg.det(found.matrix[:, :2]) / 2)
        at -= (
            np.stack([d * off[..., 0] - b * off[..., 1], a * off[..., 1] - c * off[..., 0]], -1)
            / area[..., None]
        )
    return Deformation(back, at - apply_affine(back, grid), found.agrees)


def add_displacement(found: Deformation, matches: NDArray[np.floating]) -> Deformation:
    """The map with what matches [K, 5] say beyond it added as one more smooth displacement.

    `found` is to fold nowhere; then neither does the answer.
    """
    a = matches[:, :2].astype(np.float64)
    residual = matches[:, 2:4] - found(a)
    prior = _Prior(a)
    weight, _ = _agreement(prior, residual, matches[:, 4], matches[:, 4])
    return _bent(found, prior, residual, weight)


def _bent(found: Deformation, prior: _Prior, residual: NDArray, weight: NDArray) -> Deformation:
    """The map and the displacement that `residual` [K, 2] asks for, as far as nothing folds."""
    rows, columns = found.nodes.shape[:2]
    grid = (pixel_grid(rows, columns) - MARGIN) * STEP
    noise = NOISE
    while True:
        nodes = found.nodes + prior.spread(prior.given(residual, weight, noise), grid)
        if smallest_area(apply_affine(found.matrix, grid) + nodes) >= STEEPEST:
            return Deformation(found.matrix, nodes, found.agrees)
        noise *= 2


def smallest_area(nodes: NDArray[np.float64], step: float = STEP) -> float:
    """Least Jacobian determinant of the bilinear map through `nodes` [Gy, Gx, 2].

    The determinant of a bilinear patch is linear along each side, so its corners hold the least.
    """
    dx, dy = np.diff(nodes, axis=1) / step, np.diff(nodes, axis=0) / step
    corners = [
        across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
        for across in (dx[:-1], dx[1:])
        for down in (dy[:, :-1], dy[:, 1:])
    ]
    return float(np.min(corners))


def _grid(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Where the nodes of a map lie over an image of `shape` (height, width), [Gy, Gx, 2]."""
    rows, columns = ((extent - 1) // STEP + 2 + 2 * MARGIN for extent in shape)
    return (pixel_grid(rows, columns) - MARGIN) * STEP


class _Prior:
    """The Gaussian process seen at points a [K, 2], by what it is at anchors [M, 2] around them.

    A lattice of anchors a good deal closer than LENGTH holds nearly all of a smooth field (subset
    of regressors; Rasmussen & Williams 2006, section 8.3.1), at a cost that hardly grows with K.
    The covariance is a product of one along x and one along y.
    """

    def __init__(self, a: NDArray[np.float64]) -> None:
        low, high = a.min(0) - ANCHORS / 2, a.max(0) + ANCHORS / 2
        self.x, self.y = (
            np.arange(start, stop + ANCHORS, ANCHORS) for start, stop in zip(low, high, strict=True)
        )
        across, down = _bell(a[:, 0], self.x), _bell(a[:, 1], self.y)
        self.seen = DEVIATION**2 * (down[:, :, None] * across[:, None]).reshape(len(a), -1)
        self.between = DEVIATION**2 * np.kron(_bell(self.y, self.y), _bell(self.x, self.x))
        self.between += 1e-6 * DEVIATION**2 * np.eye(len(self.between))

    def given(self, residual: NDArray, weight: NDArray, noise: float) -> NDArray[np.float64]:
        """Coefficients [M, 2] of the anchors' covariances, for `residual` [K, 2] seen at a.

        Match k has an error of deviation noise / √weight[k] px; a weight of 0 is no match.
        """
        counted = self.seen.T * (weight / noise**2)
        return np.linalg.solve(counted @ self.seen + self.between, counted @ residual)

    def spread(self, coefficients: NDArray, grid: NDArray) -> NDArray[np.float64]:
        """The displacement [Gy, Gx, 2] that coefficients [M, 2] make at a grid [Gy, Gx, 2]."""
        across, down = _bell(grid[0, :, 0], self.x), _bell(grid[:, 0, 1], self.y)
        planes = coefficients.T.reshape(2, len(self.y), len(self.x))
        return DEVIATION**2 * np.stack([down @ plane @ across.T for plane in planes], -1)


def _agreement(
    prior: _Prior, residual: NDArray, weight: NDArray, confidence: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Weights [K] of the matches about their common smooth displacement, and which agree with it.

    Starts at `weight`; a match that the similarity missed may come back by the displacement.
    """
    for _ in range(4):
        bend = prior.seen @ prior.given(residual, weight, NOISE)
        error = np.hypot(*(residual - bend).T)
        weight = confidence / (1 + (error / (2 * NOISE)) ** 2) ** 2
    return weight, error < 3 * NOISE


def _hat(at: NDArray, count: int) -> NDArray[np.float64]:
    """Weights [N, count] of nodes at 0, 1, … in what is linear between them, at places [N]."""
    away = np.abs(at.clip(0, count - 1)[:, None] - np.arange(count))
    return np.maximum(1 - away, 0)


def _bell(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Correlation [N, M] of places a [N] and b [M] along one axis."""
    return np.asarray(np.exp(-((a[:, None] - b) ** 2) / (2 * LENGTH**2)))
