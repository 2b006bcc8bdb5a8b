"""Fit a similarity transform to matches that contain outliers.

Random sample consensus (Fischler & Bolles, "Random sample consensus", CACM 1981) with the truncated
score of MSAC (Torr & Zisserman, "MLESAC", CVIU 2000), in which each match counts by its confidence,
followed by iterated least squares on the matches that agree. Points are complex numbers x + i·y
inside this module, so that a similarity is z_b = turn · z_a + shift. Both images have the same
resolution, so the scale is close to 1: skin stretches little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import Array


@dataclass(frozen=True)
class SimilarityParameters:
    """Parameters of `fit_similarity`. Lengths are px at 500 ppi."""

    # Scale between two impressions of one finger at one resolution. Chosen: wider than the stretch
    # of skin, 0.15 in one pair of twenty (docs/LOG.md, 2026-11-23, "Stretch, and second looks").
    scale_range: tuple[float, float] = (0.85, 1.18)
    # Least distance between the two matches of a sample. Chosen: about three ridges.
    baseline: float = 24.0
    # Samples of two matches. Chosen: finds similarities with a third of the matches and more.
    samples: int = 1000
    seed: int = 0  # of the sampling; chosen: the result is a function of the matches alone
    # Least number of agreeing matches. Chosen: fewer agree by chance.
    least_matches: int = 6
    # Iterations of the least squares. Chosen.
    iterations: int = 10


DEFAULT = SimilarityParameters()


@dataclass(frozen=True, eq=False)
class SimilarityTransform:
    """A similarity transform from A to B and the matches that agree with it.

    Attributes:
        matrix: float64 [2, 3], px of A → px of B.
        agrees: bool [K], the matches that it explains.
    """

    matrix: Array
    agrees: NDArray[np.bool_]


def rotation_angle(matrix: Array) -> float:
    """Return the rotation of a similarity [2, 3] in rad, counter-clockwise as seen (y is down)."""
    return float(np.arctan2(matrix[0, 1], matrix[0, 0]))


def fit_similarity(
    matches: NDArray[np.floating],
    radius: float,
    parameters: SimilarityParameters = DEFAULT,
) -> SimilarityTransform | None:
    """Fit the similarity transform that most of the matches support.

    Args:
        matches: [K, 5], x_a, y_a, x_b, y_b, confidence.
        radius: largest distance, px in B, of an agreeing match from its transformed position.
        parameters: see `SimilarityParameters`.

    Returns:
        The transform, or None where too few matches agree.
    """
    a, b, weight = _complex(matches)
    rng = np.random.default_rng(parameters.seed)
    hypothesis = _best_sample(a, b, weight, radius, rng, parameters)
    if hypothesis is None:
        return None
    turn, shift = hypothesis
    for _ in range(parameters.iterations):
        error = np.abs(turn * a + shift - b)
        if (error < radius).sum() < parameters.least_matches:
            return None
        turn, shift = _least_squares(a, b, weight * np.maximum(0, 1 - (error / radius) ** 2))
    agrees = np.abs(turn * a + shift - b) < radius
    low, high = parameters.scale_range
    if agrees.sum() < parameters.least_matches or not low <= abs(turn) <= high:
        return None
    matrix = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return SimilarityTransform(np.array(matrix), agrees)


def _complex(matches: NDArray[np.floating]) -> tuple[NDArray, NDArray, NDArray]:
    """Return the points of A and of B as complex [K], and the confidences [K]."""
    points = matches.astype(np.float64)
    return points[:, 0] + 1j * points[:, 1], points[:, 2] + 1j * points[:, 3], points[:, 4]


def _best_sample(
    a: NDArray,
    b: NDArray,
    weight: NDArray,
    radius: float,
    rng: np.random.Generator,
    parameters: SimilarityParameters,
) -> tuple[complex, complex] | None:
    """Return turn and shift of the sample of two matches with the highest truncated score.

    Args:
        a, b: complex [K], the points of the matches.
        weight: float64 [K], their confidence.
        radius: px, largest distance of an agreeing match.
        rng: generator of the samples.
        parameters: see `SimilarityParameters`.
    """
    if len(a) < parameters.least_matches or weight.sum() <= 0:
        return None
    i, j = rng.choice(len(a), (2, parameters.samples), p=weight / weight.sum())
    distant = np.abs(a[i] - a[j]) >= parameters.baseline
    i, j = i[distant], j[distant]
    turn = (b[i] - b[j]) / (a[i] - a[j])
    low, high = parameters.scale_range
    plausible = (np.abs(turn) >= low) & (np.abs(turn) <= high)
    if not plausible.any():
        return None
    turn = turn[plausible]
    shift = b[i[plausible]] - turn * a[i[plausible]]
    error = np.abs(turn[:, None] * a + shift[:, None] - b) / radius
    best = int((np.maximum(0, 1 - error**2) @ weight).argmax())
    return complex(turn[best]), complex(shift[best])


def _least_squares(a: NDArray, b: NDArray, weight: NDArray) -> tuple[complex, complex]:
    """Fit turn and shift of points a → b, complex [K], by least squares with weights [K].

    (Umeyama, "Least-squares estimation of transformation parameters", IEEE PAMI 1991.)
    """
    share = weight / weight.sum()
    mean_a, mean_b = share @ a, share @ b
    da, db = a - mean_a, b - mean_b
    turn = (share * da.conj()) @ db / max(share @ np.abs(da) ** 2, 1e-12)
    return complex(turn), complex(mean_b - turn * mean_a)
