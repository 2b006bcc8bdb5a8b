"""How much a deformation bends the skin over the common area of two impressions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.registration.deformation import Deformation
from model.registration.distortion import TO_COMPLEX
from pipeline.imaging.warp import Array


@dataclass(frozen=True)
class BendingParameters:
    """Where the bending is measured. All are chosen."""

    step: int = 4  # px at 250 ppi between points: about a ridge period
    strain_step: float = 4.0  # px at 500 ppi to either side, for differences
    distance_quantile: float = 0.95  # of the distances from the best similarity transform


DEFAULT = BendingParameters()


@dataclass(frozen=True, eq=False)
class Bending:
    """Bending of a deformation over the common area. Lengths are px at 500 ppi.

    Attributes:
        similarity, affine: the nearest transforms of these kinds, as deformations.
        distance: largest distance of the deformation from the similarity transform, but for one
            point in twenty.
        unevenness: standard deviation of the logarithm of the ratio of areas.
        curvature: root mean square of four times the difference of a point from the mean of the
            four points 8 px away.
    """

    similarity: Deformation
    affine: Deformation
    distance: float
    unevenness: float
    curvature: float


def measure_bending(
    deformation: Deformation,
    common: NDArray[np.bool_],
    parameters: BendingParameters = DEFAULT,
) -> Bending:
    """Measure the bending of a deformation.

    Args:
        deformation: from A to B.
        common: bool [h, w], the common area in A at 250 ppi; some of it is true.
        parameters: see `BendingParameters`.
    """
    y, x = np.nonzero(common)
    chosen = (y % parameters.step == 0) & (x % parameters.step == 0)
    if chosen.sum() < 3:  # an area of a few px
        chosen[:] = True
    points = 2.0 * np.c_[x, y][chosen] + 0.5
    mapped = deformation(points) @ TO_COMPLEX
    z = points @ TO_COMPLEX
    ones = np.ones_like(z)
    slope, offset = np.linalg.lstsq(np.c_[z, ones], mapped, rcond=None)[0]
    turn, shear, shift = np.linalg.lstsq(np.c_[z, z.conj(), ones], mapped, rcond=None)[0]
    area_ratio, curvature = _differentiate(deformation, points, parameters.strain_step)
    distances = np.abs(mapped - slope * z - offset)
    return Bending(
        _without_bending(deformation, slope, 0j, offset),
        _without_bending(deformation, turn, shear, shift),
        float(np.quantile(distances, parameters.distance_quantile)),
        float(np.std(np.log(area_ratio))),
        float(np.sqrt((np.abs(curvature) ** 2).mean())),
    )


def _without_bending(
    deformation: Deformation, turn: complex, shear: complex, shift: complex
) -> Deformation:
    """Return z → turn · z + shear · z* + shift as a deformation."""
    along_x, along_y = turn + shear, 1j * (turn - shear)
    matrix = [[along_x.real, along_y.real, shift.real], [along_x.imag, along_y.imag, shift.imag]]
    return dataclasses.replace(
        deformation, matrix=np.array(matrix), nodes=np.zeros_like(deformation.nodes)
    )


def _differentiate(
    deformation: Deformation, points: Array, step: float
) -> tuple[Array, NDArray[np.complex128]]:
    """Return the ratio of areas [K] and the curvature, complex [K], at points [K, 2]."""
    x, y = np.array([step, 0.0]), np.array([0.0, step])
    around = [deformation(points + move) @ TO_COMPLEX for move in (x, -x, y, -y)]
    across, down = (around[0] - around[1]) / (2 * step), (around[2] - around[3]) / (2 * step)
    area_ratio = np.maximum((across.conj() * down).imag, 1e-3)
    wider = [deformation(points + 2 * move) @ TO_COMPLEX for move in (x, -x, y, -y)]
    return area_ratio, sum(wider) - 4 * (deformation(points) @ TO_COMPLEX)
