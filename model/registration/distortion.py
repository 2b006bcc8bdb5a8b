"""The part of a map that no rotation, shift and scale explains: the distortion of the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DenseMap = NDArray[np.float32]  # [H_a, W_a, 2], (x, y) in B; NaN where nothing corresponds
TO_COMPLEX = np.array([1, 1j])  # (x, y) @ TO_COMPLEX = x + iy


@dataclass(frozen=True)
class DistortionParameters:
    """How densely a map is measured and shown. All are chosen."""

    sample_step: int = 4  # px between the points to which the similarity is fitted
    grid_lines: int = 20  # of a grid that shows the map, along the longer side of A
    least_spacing: int = 4  # px between these lines
    least_distance_limit: float = 2.0  # px, upper end of the colours of distances at least


DEFAULT = DistortionParameters()


@dataclass(frozen=True)
class NearestSimilarity:
    """The similarity transform nearest to a map: z → slope · z + offset, with z = x + iy.

    Attributes:
        slope: scale and rotation.
        offset: shift.
        distances: float64 [K], px of B, of sampled points of the map from it.
    """

    slope: complex
    offset: complex
    distances: NDArray[np.float64]


def nearest_similarity(
    map_ab: DenseMap, parameters: DistortionParameters = DEFAULT
) -> NearestSimilarity | None:
    """Fit a similarity transform to a map by least squares; None with fewer than two points."""
    step = parameters.sample_step
    sampled = map_ab[::step, ::step] @ TO_COMPLEX
    y, x = np.nonzero(np.isfinite(sampled))
    if len(y) < 2:
        return None
    points, mapped = step * (x + 1j * y), sampled[y, x]
    slope, offset = np.polyfit(points, mapped, 1)
    distances = np.abs(slope * points + offset - mapped)
    return NearestSimilarity(complex(slope), complex(offset), distances)


def grid_spacing(shape: tuple[int, ...], parameters: DistortionParameters = DEFAULT) -> int:
    """Return the px between the lines of a grid over A of `shape` (height, width, …)."""
    return max(parameters.least_spacing, round(max(shape[:2]) / parameters.grid_lines))


def distance_limit(
    distances: NDArray[np.floating], parameters: DistortionParameters = DEFAULT
) -> float:
    """Return the px at which the colours of distances from the similarity end."""
    return max(parameters.least_distance_limit, float(np.percentile(distances, 99)))
