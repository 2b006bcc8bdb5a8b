"""Fit a smooth deformation to matches; it is defined everywhere and never folds.

A deformation is a similarity transform plus a smooth displacement (`model.registration.
displacement`). All points are (x, y) in px at 500 ppi.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.registration.displacement import DisplacementModel, DisplacementParameters
from model.registration.similarity import (
    SimilarityParameters,
    SimilarityTransform,
    fit_similarity,
)
from pipeline.imaging.warp import Array, apply_affine, invert_affine, pixel_grid


@dataclass(frozen=True)
class NodeGrid:
    """Position of the nodes of a deformation over an image.

    Attributes:
        spacing: distance between nodes, px. Chosen: about a ridge period.
        margin: nodes beyond the frame on each side, over which a deformation and its inverse
            continue smoothly. Chosen.
    """

    spacing: int = 8
    margin: int = 2

    def positions(self, rows: int, columns: int) -> Array:
        """Return the positions (x, y) float64 [rows, columns, 2] of the nodes."""
        return (pixel_grid(rows, columns) - self.margin) * self.spacing

    def positions_over(self, shape: tuple[int, int]) -> Array:
        """Return the positions of the nodes over an image of `shape` (height, width)."""
        rows, columns = [(extent - 1) // self.spacing + 2 + 2 * self.margin for extent in shape]
        return self.positions(rows, columns)


@dataclass(frozen=True)
class DeformationParameters:
    """Parameters of a deformation. Lengths are px at 500 ppi."""

    # Largest distance of a match from the similarity transform. Chosen: the distortion of skin,
    # which passes 8 px in some pairs (docs/LOG.md, 2026-11-23, "Stretch, and second looks").
    radius: float = 12.0
    # Least ratio of areas, in B to in A, that is no fold. Chosen.
    least_area_ratio: float = 0.2
    # Steps of Newton's method for the inverse. Chosen.
    newton_steps: int = 6
    grid: NodeGrid = NodeGrid()
    similarity: SimilarityParameters = field(default_factory=SimilarityParameters)
    displacement: DisplacementParameters = field(default_factory=DisplacementParameters)


DEFAULT = DeformationParameters()


@dataclass(frozen=True, eq=False)
class Deformation:
    """A similarity transform and a displacement at nodes, with bilinear interpolation between them.

    Attributes:
        matrix: float64 [2, 3], px of A → px of B.
        nodes: float64 [Gy, Gx, 2], displacement (x, y) at the nodes, px of B.
        agrees: bool [K], the matches that agree with the deformation when it was fitted.
        grid: position of the nodes.
    """

    matrix: Array
    nodes: Array
    agrees: NDArray[np.bool_]
    grid: NodeGrid = NodeGrid()

    def __call__(self, points: Array) -> Array:
        """Map points of A, float64 [..., 2] (x, y), to B."""
        rows, columns = self.nodes.shape[:2]
        y, low = self._node_before(points[..., 1], rows)
        x, right = self._node_before(points[..., 0], columns)
        node = y * columns + x
        mapped = apply_affine(self.matrix, points)
        for k in range(2):  # plane by plane: numpy is slow along an axis of two
            plane = self.nodes[..., k].ravel()
            above = plane[node] * (1 - right) + plane[node + 1] * right
            node_below = node + columns
            below = plane[node_below] * (1 - right) + plane[node_below + 1] * right
            mapped[..., k] += above * (1 - low)
            mapped[..., k] += below * low
        return mapped

    def on_grid(self, x: Array, y: Array) -> Array:
        """Map the points of A at columns x [W] and rows y [H] to B: [H, W, 2]; faster."""
        down = self._interpolation(y, self.nodes.shape[0])
        across = self._interpolation(x, self.nodes.shape[1])
        planes = []
        for k, (a, b, c) in enumerate(self.matrix):
            displacement = down @ self.nodes[..., k] @ across.T
            planes.append(displacement + (a * x + (b * y + c)[:, None]))
        return np.stack(planes, -1)

    def _node_before(self, positions: Array, count: int) -> tuple[NDArray[np.intp], Array]:
        """Return the node before each position along one axis, and the part of the way to the next.

        Positions beyond the outer nodes are taken to these.
        """
        nodes = (positions / self.grid.spacing + self.grid.margin).clip(0, count - 1)
        before = np.minimum(nodes.astype(np.intp), count - 2)
        return before, nodes - before

    def _interpolation(self, positions: Array, count: int) -> Array:
        """Return the weights [N, count] of nodes along one axis in the values at N positions."""
        nodes = (positions / self.grid.spacing + self.grid.margin).clip(0, count - 1)
        return np.maximum(1 - np.abs(nodes[:, None] - np.arange(count)), 0)


def fit_deformation(
    matches: NDArray[np.floating],
    shape: tuple[int, int],
    parameters: DeformationParameters = DEFAULT,
) -> Deformation | None:
    """Fit the smooth deformation that the matches support.

    Args:
        matches: [K, 5], x_a, y_a, x_b, y_b, confidence in (0, 1].
        shape: (height, width) of image A.
        parameters: see `DeformationParameters`.

    Returns:
        The deformation, whose Jacobian determinant is positive everywhere, or None where too few
        matches agree on a similarity transform.
    """
    similarity = fit_similarity(matches, parameters.radius, parameters=parameters.similarity)
    return None if similarity is None else bend_similarity(similarity, matches, shape, parameters)


def bend_similarity(
    similarity: SimilarityTransform,
    matches: NDArray[np.floating],
    shape: tuple[int, int],
    parameters: DeformationParameters = DEFAULT,
) -> Deformation:
    """Add the smooth displacement to a similarity transform that matches [K, 5] support.

    Args:
        similarity: fitted to these matches.
        matches: as for `fit_deformation`.
        shape: (height, width) of image A.
        parameters: see `DeformationParameters`.
    """
    a = matches[:, :2].astype(np.float64)
    residual = matches[:, 2:4] - apply_affine(similarity.matrix, a)
    model = DisplacementModel(a, parameters.displacement)
    confidence = matches[:, 4]
    weight, agrees = model.fit_robustly(residual, confidence * similarity.agrees, confidence)
    zero = np.zeros_like(parameters.grid.positions_over(shape))
    rigid = Deformation(similarity.matrix, zero, agrees, parameters.grid)
    return _displace(rigid, model, residual, weight, parameters)


def add_displacement(
    deformation: Deformation,
    matches: NDArray[np.floating],
    parameters: DeformationParameters = DEFAULT,
) -> Deformation:
    """Add one more smooth displacement that brings a deformation closer to matches [K, 5].

    The result does not fold where `deformation` does not.
    """
    a = matches[:, :2].astype(np.float64)
    residual = matches[:, 2:4] - deformation(a)
    model = DisplacementModel(a, parameters.displacement)
    weight, _ = model.fit_robustly(residual, matches[:, 4], matches[:, 4])
    return _displace(deformation, model, residual, weight, parameters)


def invert_deformation(
    deformation: Deformation,
    shape: tuple[int, int],
    parameters: DeformationParameters = DEFAULT,
) -> Deformation:
    """Invert a deformation by Newton's method, which starts from the similarity transform.

    Args:
        deformation: from A to B; it does not fold, so that there is one solution.
        shape: (height, width) of image B.
        parameters: see `DeformationParameters`.

    Returns:
        The deformation from B to A, exact at its own nodes.
    """
    targets = deformation.grid.positions_over(shape)
    inverse_matrix = invert_affine(deformation.matrix)
    least_area = parameters.least_area_ratio * np.linalg.det(deformation.matrix[:, :2]) / 2
    points = apply_affine(inverse_matrix, targets)
    for _ in range(parameters.newton_steps):
        points -= _newton_step(deformation, points, targets, least_area)
    displacement = points - apply_affine(inverse_matrix, targets)
    return Deformation(inverse_matrix, displacement, deformation.agrees, deformation.grid)


def smallest_area(nodes: Array, spacing: float) -> float:
    """Return the least Jacobian determinant of the bilinear map through nodes [Gy, Gx, 2].

    The determinant of a bilinear patch is linear along each side, so the least is at a corner.
    """
    dx, dy = np.diff(nodes, axis=1) / spacing, np.diff(nodes, axis=0) / spacing
    determinants = [
        across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
        for across in (dx[:-1], dx[1:])
        for down in (dy[:, :-1], dy[:, 1:])
    ]
    return float(np.min(determinants))


def _newton_step(
    deformation: Deformation, points: Array, targets: Array, least_area: float
) -> Array:
    """Return the step [Gy, Gx, 2] to subtract from `points` so that they map to `targets`."""
    off = deformation(points) - targets
    half_x, half_y = np.array([0.5, 0.0]), np.array([0.0, 0.5])
    a, c = np.moveaxis(deformation(points + half_x) - deformation(points - half_x), -1, 0)
    b, d = np.moveaxis(deformation(points + half_y) - deformation(points - half_y), -1, 0)
    area = np.maximum(a * d - b * c, least_area)
    step_x = d * off[..., 0] - b * off[..., 1]
    step_y = a * off[..., 1] - c * off[..., 0]
    return np.stack([step_x, step_y], -1) / area[..., None]


def _displace(
    deformation: Deformation,
    model: DisplacementModel,
    residual: NDArray,
    weight: NDArray,
    parameters: DeformationParameters,
) -> Deformation:
    """Add the displacement fitted to `residual` [K, 2]; stiffer, until the result does not fold."""
    grid = deformation.grid
    positions = grid.positions(*deformation.nodes.shape[:2])
    noise = parameters.displacement.noise
    while True:
        displacement = model.evaluate(model.fit(residual, weight, noise), positions)
        nodes = deformation.nodes + displacement
        mapped = apply_affine(deformation.matrix, positions) + nodes
        if smallest_area(mapped, grid.spacing) >= parameters.least_area_ratio:
            return Deformation(deformation.matrix, nodes, deformation.agrees, grid)
        noise *= 2
