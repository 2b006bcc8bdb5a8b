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
from scipy.linalg import cho_factor, cho_solve
from scipy.ndimage import map_coordinates

from model import similarity
from pipeline.warp import apply_affine, pixel_grid

RADIUS = 12.0  # px, agreement with the similarity: the skin's distortion may add up to this
DEVIATION = 6.0  # px, of the displacement about the similarity
LENGTH = 60.0  # px, over which the displacement stays alike
NOISE = 3.0  # px, of a match with confidence 1; errors of neighbours go together, so it is high
ANCHORS = 45.0  # px between the points that the displacement is expressed by
STEP = 8  # px between the nodes of the displacement
STEEPEST = 0.2  # least ratio of areas, map to similarity, that is no fold


@dataclass(frozen=True, eq=False)
class DenseMap:
    """A similarity and a displacement at nodes STEP px apart, linear between them."""

    matrix: NDArray[np.float64]  # [2, 3], px of A → px of B
    nodes: NDArray[np.float64]  # [Gy, Gx, 2], displacement (x, y) in px of B; node (0, 0) at (0, 0)
    agrees: NDArray[np.bool_]  # [K], the matches that the map explains

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points of B, float64 [..., 2], of points of A [..., 2]."""
        at = np.moveaxis(points[..., ::-1] / STEP, -1, 0)
        bend = [map_coordinates(self.nodes[..., k], at, order=1, mode="nearest") for k in (0, 1)]
        return apply_affine(self.matrix, points) + np.stack(bend, -1)


def fit(
    matches: NDArray[np.floating], shape: tuple[int, int], radius: float = RADIUS, seed: int = 0
) -> DenseMap | None:
    """The smooth map over an image A of `shape` (height, width) that the matches [K, 5] support.

    Columns: x_a, y_a, x_b, y_b, confidence in (0, 1]. None where too few agree on one similarity.
    The linear interpolation of the nodes has a positive Jacobian everywhere.
    """
    rigid = similarity.fit(matches, radius, seed)
    if rigid is None:
        return None
    a = matches[:, :2].astype(np.float64)
    residual = matches[:, 2:4] - apply_affine(rigid.matrix, a)
    prior = _Prior(a)
    weight, agrees = _agreement(prior, residual, matches[:, 4] * rigid.agrees, matches[:, 4])
    rows, columns = ((extent - 1) // STEP + 2 for extent in shape)
    stiff = DenseMap(rigid.matrix, np.zeros((rows, columns, 2)), agrees)
    return _bent(stiff, prior, residual, weight)


def bend(found: DenseMap, matches: NDArray[np.floating]) -> DenseMap:
    """The map with what matches [K, 5] say beyond it added as one more smooth displacement.

    `found` is to fold nowhere; then neither does the answer.
    """
    a = matches[:, :2].astype(np.float64)
    residual = matches[:, 2:4] - found(a)
    prior = _Prior(a)
    weight, _ = _agreement(prior, residual, matches[:, 4], matches[:, 4])
    return _bent(found, prior, residual, weight)


def _bent(found: DenseMap, prior: _Prior, residual: NDArray, weight: NDArray) -> DenseMap:
    """The map and the displacement that `residual` [K, 2] asks for, as far as nothing folds."""
    rows, columns = found.nodes.shape[:2]
    grid = pixel_grid(rows, columns) * STEP
    reach = _covariance(grid.reshape(-1, 2), prior.anchors)
    noise = NOISE
    while True:
        nodes = found.nodes + (reach @ prior.given(residual, weight, noise)).reshape(grid.shape)
        if smallest_area(apply_affine(found.matrix, grid) + nodes) >= STEEPEST:
            return DenseMap(found.matrix, nodes, found.agrees)
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


class _Prior:
    """The Gaussian process seen at points a [K, 2], by what it is at anchors [M, 2] around them.

    A lattice of anchors a good deal closer than LENGTH holds nearly all of a smooth field (subset
    of regressors; Rasmussen & Williams 2006, section 8.3.1), at a cost that hardly grows with K.
    """

    def __init__(self, a: NDArray[np.float64]) -> None:
        low, high = a.min(0) - ANCHORS / 2, a.max(0) + ANCHORS / 2
        x, y = (
            np.arange(start, stop + ANCHORS, ANCHORS) for start, stop in zip(low, high, strict=True)
        )
        self.anchors = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
        self.seen = _covariance(a, self.anchors)
        self.between = _covariance(self.anchors, self.anchors)
        self.between += 1e-6 * DEVIATION**2 * np.eye(len(self.anchors))

    def given(self, residual: NDArray, weight: NDArray, noise: float) -> NDArray[np.float64]:
        """Coefficients [M, 2] of the anchors' covariances, for `residual` [K, 2] seen at a.

        Match k has an error of deviation noise / √weight[k] px; a weight of 0 is no match.
        """
        counted = self.seen.T * (weight / noise**2)
        return cho_solve(cho_factor(counted @ self.seen + self.between), counted @ residual)


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


def _covariance(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    square = ((a[:, None] - b[None]) ** 2).sum(-1)
    return DEVIATION**2 * np.exp(-square / (2 * LENGTH**2))
