"""The part of a map that no rotation, shift and scale explains: the distortion of the skin."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

    Where exactly one of two images is stored mirrored (orientation tags 2, 4, 5 and 7) the map
    mirrors, too: conj(z) stands for z then.

    Attributes:
        slope: scale and rotation.
        offset: shift.
        mirrored: whether conj(z) stands for z.
        distances: float64 [K], px of B, of sampled points of the map from it.
    """

    slope: complex
    offset: complex
    mirrored: bool
    distances: NDArray[np.float64]

    def turn(self, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Map differences of points of A to those of B."""
        return self.slope * (z.conj() if self.mirrored else z)

    def __call__(self, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Map points of A to B."""
        return self.turn(z) + self.offset

    def inverse(self, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Map points of B to A."""
        turned_back = (z - self.offset) / self.slope
        return turned_back.conj() if self.mirrored else turned_back


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
    fits = [_fit(points, mapped, mirrored) for mirrored in (False, True)]
    return min(fits, key=lambda fit: float((fit.distances**2).sum()))


def _fit(points: NDArray, mapped: NDArray, mirrored: bool) -> NearestSimilarity:
    """Fit a transform, mirrored or not, to points → mapped, complex [K]."""
    slope, offset = np.polyfit(points.conj() if mirrored else points, mapped, 1)
    fit = NearestSimilarity(complex(slope), complex(offset), mirrored, np.zeros(0))
    return replace(fit, distances=np.abs(fit(points) - mapped))


def grid_spacing(shape: tuple[int, ...], parameters: DistortionParameters = DEFAULT) -> int:
    """Return the px between the lines of a grid over A of `shape` (height, width, …)."""
    return max(parameters.least_spacing, round(max(shape[:2]) / parameters.grid_lines))


def distance_limit(
    distances: NDArray[np.floating], parameters: DistortionParameters = DEFAULT
) -> float:
    """Return the px at which the colours of distances from the similarity end."""
    return max(parameters.least_distance_limit, float(np.percentile(distances, 99)))
