"""Smooth displacements as a Gaussian process (kriging; Rasmussen & Williams 2006, section 2.2).

The covariance is squared-exponential, a product of one along x and one along y. The displacement is
observed at the matches with noise, and follows them where they are dense; far from them it fades to
zero, where a thin-plate spline would run off. All points are (x, y) in px at 500 ppi.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import Array


@dataclass(frozen=True)
class DisplacementParameters:
    """Parameters of the Gaussian process. Lengths are px at 500 ppi."""

    # Standard deviation of the displacement. Chosen: about that of elastic distortion of skin
    # (docs/LOG.md, 2026-11-23, "Deformation between real impressions").
    deviation: float = 6.0
    # Correlation length of the displacement. Chosen: about seven ridges.
    length: float = 60.0
    # Standard error of a match with confidence 1. Chosen high, since the errors of neighbouring
    # matches are correlated.
    noise: float = 3.0
    # Spacing of the anchors that the displacement is expressed by. Chosen: well below `length`.
    anchor_spacing: float = 45.0
    # Iterations of the robust weights. Chosen.
    iterations: int = 4
    # A match agrees within this many standard errors.
    agreement_deviations: float = 3.0


DEFAULT = DisplacementParameters()


class DisplacementModel:
    """The Gaussian process, observed at points of A, in terms of its values at M anchors.

    A lattice of anchors that are closer than the correlation length holds nearly all of a smooth
    field, at a cost that hardly grows with the number of points (subset of regressors; Rasmussen &
    Williams 2006, section 8.3.1).

    Args:
        points: float64 [K, 2], the positions of the matches in A.
        parameters: see `DisplacementParameters`.
    """

    def __init__(self, points: Array, parameters: DisplacementParameters = DEFAULT) -> None:
        self.parameters = parameters
        spacing, variance = parameters.anchor_spacing, parameters.deviation**2
        low, high = points.min(0) - spacing / 2, points.max(0) + spacing / 2
        self.anchors_x = np.arange(low[0], high[0] + spacing, spacing)
        self.anchors_y = np.arange(low[1], high[1] + spacing, spacing)
        across = self._correlation(points[:, 0], self.anchors_x)
        down = self._correlation(points[:, 1], self.anchors_y)
        products = (down[:, :, None] * across[:, None]).reshape(len(points), -1)
        self.to_points = variance * products  # [K, M]
        self.between_anchors = variance * np.kron(
            self._correlation(self.anchors_y, self.anchors_y),
            self._correlation(self.anchors_x, self.anchors_x),
        )
        self.between_anchors += 1e-6 * variance * np.eye(len(self.between_anchors))

    def fit(self, residual: NDArray, weight: NDArray, noise: float) -> Array:
        """Fit the displacement to residuals at the points.

        Args:
            residual: [K, 2], displacement (x, y) at the points, px of B.
            weight: [K]; match k has a standard error of noise / √weight[k], and weight 0 is no
                match.
            noise: standard error of a match with weight 1, px.

        Returns:
            Coefficients [M, 2] of the anchors' covariances.
        """
        weighted = self.to_points.T * (weight / noise**2)
        return np.linalg.solve(
            weighted @ self.to_points + self.between_anchors, weighted @ residual
        )

    def fit_robustly(
        self, residual: NDArray, weight: NDArray, confidence: NDArray
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Find the weights of the matches about their common smooth displacement.

        Matches far from the common displacement of their neighbours lose their weight (Geman &
        McClure 1985). A match with an initial weight of 0 may regain it.

        Args:
            residual: [K, 2], as for `fit`.
            weight: [K], the initial weights.
            confidence: [K], the weight of a match that fits exactly.

        Returns:
            Weights float64 [K], and which matches agree, bool [K].
        """
        noise = self.parameters.noise
        for _ in range(self.parameters.iterations):
            displacement = self.to_points @ self.fit(residual, weight, noise)
            error = np.hypot(*(residual - displacement).T)
            weight = confidence / (1 + (error / (2 * noise)) ** 2) ** 2
        return weight, error < self.parameters.agreement_deviations * noise

    def evaluate(self, coefficients: NDArray, grid: NDArray) -> Array:
        """Evaluate the displacement [Gy, Gx, 2] at a rectangular grid of points [Gy, Gx, 2]."""
        across = self._correlation(grid[0, :, 0], self.anchors_x)
        down = self._correlation(grid[:, 0, 1], self.anchors_y)
        planes = coefficients.T.reshape(2, len(self.anchors_y), len(self.anchors_x))
        return self.parameters.deviation**2 * np.stack(
            [down @ plane @ across.T for plane in planes], -1
        )

    def _correlation(self, a: NDArray, b: NDArray) -> Array:
        """Return the correlation [N, M] between positions a [N] and b [M] along one axis."""
        length = self.parameters.length
        return np.asarray(np.exp(-((a[:, None] - b) ** 2) / (2 * length**2)))
