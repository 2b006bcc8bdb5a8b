"""A robust similarity between two sets of matched points.

Random sample consensus (Fischler & Bolles 1981) with the truncated score of MSAC (Torr & Zisserman
2000), each match counted by its confidence, then iterated least squares on what agrees. Points are
complex numbers x + i·y within, so that a similarity is z_b = turn · z_a + shift. Both images are
at one resolution, hence the scale is known to lie close to 1: skin stretches little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SCALE_RANGE = (0.85, 1.18)  # of prints of one finger at one resolution
BASELINE = 24.0  # px at 500 ppi, about three ridges: the least distance of a sample's two points
HYPOTHESES = 1000
FEWEST = 6  # agreeing matches, below which nothing is claimed


@dataclass(frozen=True, eq=False)
class SimilarityTransform:
    """Points of A to points of B by a turn, a scale and a shift, and the matches that agree."""

    matrix: NDArray[np.float64]  # [2, 3]
    agrees: NDArray[np.bool_]  # [K]


def rotation_angle(matrix: NDArray[np.float64]) -> float:
    """The turn of a similarity [2, 3] in rad, counter-clockwise as seen (y points down)."""
    return float(np.arctan2(matrix[0, 1], matrix[0, 0]))


def fit_similarity(
    matches: NDArray[np.floating], radius: float, seed: int = 0
) -> SimilarityTransform | None:
    """The similarity that most of the matches [K, 5] (x_a, y_a, x_b, y_b, confidence) support.

    A match agrees when it lies within `radius` px of where the similarity puts it. None where fewer
    than FEWEST agree. Deterministic by `seed`.
    """
    a, b, weight = _complex(matches)
    best = _best_hypothesis(a, b, weight, radius, np.random.default_rng(seed))
    if best is None:
        return None
    turn, shift = best
    for _ in range(10):
        error = np.abs(turn * a + shift - b)
        share = weight * np.maximum(0, 1 - (error / radius) ** 2)
        if (error < radius).sum() < FEWEST:
            return None
        turn, shift = _least_squares(a, b, share)
    agrees = np.abs(turn * a + shift - b) < radius
    if agrees.sum() < FEWEST or not SCALE_RANGE[0] <= abs(turn) <= SCALE_RANGE[1]:
        return None
    matrix = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return SimilarityTransform(np.array(matrix), agrees)


def _complex(matches: NDArray[np.floating]) -> tuple[NDArray, NDArray, NDArray]:
    points = matches.astype(np.float64)
    return points[:, 0] + 1j * points[:, 1], points[:, 2] + 1j * points[:, 3], points[:, 4]


def _best_hypothesis(
    a: NDArray, b: NDArray, weight: NDArray, radius: float, rng: np.random.Generator
) -> tuple[complex, complex] | None:
    """The two-match hypothesis with the highest truncated score; None where there is none."""
    if len(a) < FEWEST or weight.sum() <= 0:
        return None
    i, j = rng.choice(len(a), (2, HYPOTHESES), p=weight / weight.sum())
    apart = np.abs(a[i] - a[j]) >= BASELINE
    i, j = i[apart], j[apart]
    turn = (b[i] - b[j]) / (a[i] - a[j])
    likely = (np.abs(turn) >= SCALE_RANGE[0]) & (np.abs(turn) <= SCALE_RANGE[1])
    if not likely.any():
        return None
    turn = turn[likely]
    shift = b[i[likely]] - turn * a[i[likely]]
    error = np.abs(turn[:, None] * a + shift[:, None] - b) / radius
    best = int((np.maximum(0, 1 - error**2) @ weight).argmax())
    return complex(turn[best]), complex(shift[best])


def _least_squares(a: NDArray, b: NDArray, weight: NDArray) -> tuple[complex, complex]:
    """The weighted least-squares similarity (Umeyama 1991, which in complex numbers is a ratio)."""
    share = weight / weight.sum()
    middle_a, middle_b = share @ a, share @ b
    da, db = a - middle_a, b - middle_b
    turn = (share * da.conj()) @ db / max(share @ np.abs(da) ** 2, 1e-12)
    return complex(turn), complex(middle_b - turn * middle_a)
