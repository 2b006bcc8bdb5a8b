"""Registration by minutiae and a thin-plate spline, the classical registration of distorted prints.

The rigid transform under which most minutiae have mates, then a thin-plate spline through the mates
(Bazen & Gerez, "Fingerprint matching by thin-plate spline modelling of elastic deformations",
Pattern Recognition 36, 2003), under which mates are sought once more. The score is K² / (N M) of K
mates (Jea & Govindaraju, "A minutia-based partial fingerprint recognition system", Pattern
Recognition 38, 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RBFInterpolator

from pipeline.imaging.warp import Array
from train.evaluation import reference_minutiae
from train.evaluation.file_methods import FileResult
from train.evaluation.reference_minutiae import PointMap

VERSION = 2  # of the results: raise it with every change of code that changes them


@dataclass(frozen=True)
class SplineParameters:
    """Settings of the registration."""

    iterations: int = 2  # of mates and spline; chosen
    least_mates: int = 6  # of a spline; with fewer the map stays rigid; chosen
    # Weight of the bending energy beside squared px of the mates (scipy's `smoothing`). Measured on
    # simulated minutiae, docs/LOG.md, 2026-11-29, "A benchmark for anyone".
    smoothing: float = 1e4


DEFAULT = SplineParameters()


def register(a: Array, b: Array, parameters: SplineParameters = DEFAULT) -> FileResult:
    """Register by minutiae.

    Args:
        a: minutiae of A, [N, 3 or more], x, y, direction; px at 500 ppi.
        b: minutiae of B [M, 3 or more].
        parameters: settings.

    Returns:
        The registration, in px at 500 ppi.
    """
    _, point_map = reference_minutiae.rigid_oracle(a, b)
    mates = reference_minutiae.mates(a, b, point_map)
    for _ in range(parameters.iterations):
        spline = _fit(a[mates[:, 0], :2], b[mates[:, 1], :2], parameters)
        if spline is None:
            break
        point_map = spline
        mates = reference_minutiae.mates(a, b, point_map)
    return FileResult(len(mates) ** 2 / max(1, len(a) * len(b)), point_map)


def _fit(points_a: Array, points_b: Array, parameters: SplineParameters) -> PointMap | None:
    """Fit a spline to mates [K, 2]; None where there are few or all lie on a line."""
    if len(points_a) < parameters.least_mates:
        return None
    try:
        spline = RBFInterpolator(
            points_a, points_b, kernel="thin_plate_spline", smoothing=parameters.smoothing
        )
    except np.linalg.LinAlgError:
        return None

    def point_map(points: Array) -> Array:
        if not len(points):
            return np.zeros((0, 2))
        return np.asarray(spline(points), np.float64)

    return point_map
