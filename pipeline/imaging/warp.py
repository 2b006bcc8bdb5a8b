"""Warps between images in closed form, so that ground truth is exact and not interpolated.

Points are (x, y) in px; the centre of the top-left px is (0, 0). A `Warp` maps output points to
source points, the direction in which an image is resampled:

    warp(p) = matrix · (p + d(p))

`d` is a uniform cubic B-spline of control displacements (Rueckert et al., "Nonrigid registration
using free-form deformations", IEEE TMI 1999), zero outside its support: twice differentiable,
cheap on a grid (separable), and invertible by fixed-point iteration while its strain is below 1.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

IDENTITY: Array = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
NO_CONTROL: Array = np.zeros((0, 0, 2))


@dataclass(frozen=True)
class WarpParameters:
    """Limits of warps that are read from files, and of the inversion."""

    # Determinant of the matrix of a warp that is read. Chosen: far from any scale of real images.
    area_range: tuple[float, float] = (1e-3, 1e6)
    # Iterations of the inversion. Chosen: the error shrinks by the strain, below 1, in each one.
    max_iterations: int = 200
    # Lower bound of a strain that is divided by, without a unit. Chosen: avoids 0 / 0.
    least_strain: float = 1e-12


DEFAULT = WarpParameters()


def rotation(
    angle: float, centre: tuple[float, float], shift: tuple[float, float] = (0, 0)
) -> Array:
    """Return the matrix float64 [2, 3] of a rotation about a point, followed by a shift.

    Args:
        angle: radians, counter-clockwise as seen.
        centre: (x, y) px, the fixed point of the rotation.
        shift: (x, y) px.
    """
    c, s = math.cos(angle), math.sin(angle)
    (x, y), (dx, dy) = centre, shift
    # y points down, so that counter-clockwise as seen is -s in the second row
    return np.array([[c, s, x - (c * x + s * y) + dx], [-s, c, y - (c * y - s * x) + dy]])


def scaling(scale: float) -> Array:
    """Return the matrix float64 [2, 3] to px of an image from px of one `scale` times as fine.

    The outer edges of both images coincide.
    """
    shift = 0.5 / scale - 0.5  # in both, the centre of the first px is half a px from the edge
    return np.array([[1 / scale, 0.0, shift], [0.0, 1 / scale, shift]])


# Products of small matrices are written out: the rounding of BLAS depends on the processor.


def apply_affine(matrix: Array, points: Array) -> Array:
    """Map points float64 [..., 2] by a matrix [2, 3]."""
    result = np.empty(points.shape)  # plane by plane: numpy is slow along an axis of two
    for k, (a, b, c) in enumerate(matrix.tolist()):
        result[..., k] = points[..., 0] * a + points[..., 1] * b + c
    return result


def invert_affine(matrix: Array) -> Array:
    """Return the inverse [2, 3] of a matrix [2, 3]; numpy.linalg.LinAlgError if it is singular."""
    (a, b, x), (c, d, y) = matrix.tolist()
    determinant = a * d - b * c
    if determinant == 0:
        raise np.linalg.LinAlgError("the matrix has no inverse")
    a, b, c, d = d / determinant, -b / determinant, -c / determinant, a / determinant
    return np.array([[a, b, -(a * x + b * y)], [c, d, -(c * x + d * y)]])


def compose_affine(outer: Array, inner: Array) -> Array:
    """Return the matrix [2, 3] that applies `inner` and then `outer`."""
    (a, b, x), (c, d, y) = inner.tolist()
    rows = [(p * a + q * c, p * b + q * d, p * x + q * y + r) for p, q, r in outer.tolist()]
    return np.array(rows)


def pixel_grid(height: int, width: int, stride: float = 1.0) -> Array:
    """Return the centres (x, y) of cells of `stride` px: stride·i + (stride - 1) / 2.

    Args:
        height, width: number of cells along y and x.
        stride: px per cell.

    Returns:
        float64 [height, width, 2].
    """
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    return np.stack([x, y], -1) * stride + (stride - 1) / 2


@functools.lru_cache(maxsize=4)
def _axis(extent: int) -> Array:
    """Return 0, 1, … float64 [extent]; shared by all callers, who must not change it."""
    return np.arange(float(extent))


def _basis(positions: Array, count: int) -> Array:
    """Return cubic B-splines [count, N] centred at 0, 1, … count - 1, at positions [N]."""
    distance = np.abs(positions - np.arange(count)[:, None])
    outer, inner = np.maximum(2 - distance, 0), np.maximum(1 - distance, 0)
    return np.asarray((outer * outer * outer - 4 * (inner * inner * inner)) / 6)


def _product(down: Array, control: Array, across: Array) -> Array:
    """Return downᵀ [H, R] · control [R, C] · across [C, W], the same bits on every processor."""
    rows = sum(d[:, None] * c for d, c in zip(down, control, strict=True))
    total = np.zeros((down.shape[1], across.shape[1]))
    for column, weights in zip(np.transpose(rows), across, strict=True):
        total += column[:, None] * weights
    return total


@dataclass(frozen=True, eq=False)
class Warp:
    """A map from output points to source points: a B-spline displacement, then a matrix.

    Attributes:
        matrix: float64 [2, 3].
        control: float64 [Gy, Gx, 2], displacement (x, y) px of the control point at
            origin + spacing · (column, row).
        spacing: px between control points.
        origin: (x, y) px of the first control point.

    Raises:
        ValueError: the strain is 1 or more, so that the warp may have no unique inverse.
    """

    matrix: Array
    control: Array = field(default_factory=NO_CONTROL.copy)
    spacing: float = 1.0
    origin: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        """Refuse a warp that may fold the plane."""
        if self.strain >= 1:
            raise ValueError(
                f"elastic strain {self.strain:.2f} folds the plane; it must be below 1"
            )

    @property
    def strain(self) -> float:
        """Bound on the norm of the displacement's Jacobian, from the control differences."""
        if not self.control.size:
            return 0.0
        rows, columns, _ = self.control.shape
        padded = np.zeros((rows + 2, columns + 2, 2))  # numpy.pad takes longer than all the rest
        padded[1:-1, 1:-1] = self.control
        steps = [np.abs(np.diff(padded, axis=axis)).max(initial=0.0) for axis in (0, 1)]
        return float(np.hypot(*steps) * math.sqrt(2) / self.spacing)

    def displacement(self, points: Array) -> Array:
        """Return d(p) in px, float64 [..., 2], at points [..., 2]."""
        if not self.control.size:
            return np.zeros_like(points)
        across, down = self._bases(*points.reshape(-1, 2).T)
        planes = [((self.control[..., k] @ across) * down).sum(0) for k in (0, 1)]
        return np.stack(planes, -1).reshape(points.shape)

    def __call__(self, points: Array) -> Array:
        """Return the source points [..., 2] of output points [..., 2]."""
        return apply_affine(self.matrix, points + self.displacement(points))

    def dense(self, height: int, width: int) -> Array:
        """Return the source points float64 [H, W, 2] of all output px; the values of __call__."""
        return np.stack(self.planes(height, width), -1)

    def planes(self, height: int, width: int, after: Array = IDENTITY) -> tuple[Array, Array]:
        """Return x and y, each float64 [H, W], of after · warp(p) for all output px p."""
        (a, b, u), (c, d, v) = compose_affine(after, self.matrix).tolist()
        x, y = _axis(width), _axis(height)[:, None]
        if self.control.size:
            across, down = self._bases(_axis(width), _axis(height))
            x = x + _product(down, self.control[..., 0], across)
            y = y + _product(down, self.control[..., 1], across)
        return a * x + (b * y + u), c * x + (d * y + v)  # adding a row to a column is cheap

    def inverse(
        self, points: Array, tolerance: float = 1e-6, parameters: WarpParameters = DEFAULT
    ) -> Array:
        """Return the output points [..., 2] of source points, by fixed-point iteration.

        Args:
            points: source points (x, y) px, float64 [..., 2].
            tolerance: px, the largest last step.
            parameters: number of iterations.

        Raises:
            ValueError: the iteration did not converge.
        """
        target = apply_affine(invert_affine(self.matrix), points)
        if not self.control.size:
            return target
        estimate = target.copy()
        for _ in range(parameters.max_iterations):
            step = target - self.displacement(estimate) - estimate
            estimate += step
            if np.abs(step).max(initial=0.0) < tolerance:
                return estimate
        raise ValueError(f"warp of strain {self.strain:.2f} did not invert to {tolerance} px")

    def at_scale(self, scale: float) -> Warp:
        """Return the same warp from an output image with `scale` times as many px per side.

        The outer edges of both output images coincide.
        """
        finer = scaling(scale)
        x, y = ((np.array(self.origin) - finer[:, 2]) * scale).tolist()
        matrix = compose_affine(self.matrix, finer)
        return Warp(matrix, self.control * scale, self.spacing * scale, (x, y))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain numbers, from which `from_json` makes the same warp."""
        return {
            "matrix": self.matrix.tolist(),
            "control": self.control.tolist(),
            "spacing": self.spacing,
            "origin": list(self.origin),
        }

    @staticmethod
    def from_json(fields: dict[str, Any], parameters: WarpParameters = DEFAULT) -> Warp:
        """Return the warp of the fields that `to_json` wrote.

        Raises:
            KeyError, TypeError, OverflowError, ValueError: the fields are not those of a warp, or
                the warp mirrors or has a scale outside `parameters.area_range`.
        """
        matrix = np.array(fields["matrix"], np.float64)
        rows = len(fields["control"])
        shape = (rows, -1, 2) if rows else NO_CONTROL.shape
        control = np.array(fields["control"], np.float64).reshape(shape)
        spacing, (x, y) = float(fields["spacing"]), map(float, fields["origin"])
        finite = all(np.isfinite(part).all() for part in (matrix, control, spacing, x, y))
        if matrix.shape != (2, 3) or not finite:
            raise ValueError("expected a 2×3 matrix and control displacements, all finite")
        (a, b, _), (c, d, _) = matrix.tolist()
        low, high = parameters.area_range
        if not (spacing > 0 and low < a * d - b * c < high):
            raise ValueError(f"matrix {matrix.tolist()}, spacing {spacing}: no map of an image")
        return Warp(matrix, control, spacing, (x, y))

    def _bases(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return B-splines of the control's columns [Gx, len(x)] and rows [Gy, len(y)]."""
        rows, columns = self.control.shape[:2]
        x0, y0 = self.origin
        across = _basis((x - x0) / self.spacing, columns)
        return across, _basis((y - y0) / self.spacing, rows)


def random_control(
    rng: np.random.Generator,
    size: tuple[int, int],
    spacing: float,
    amplitude: float,
    strain: float,
    parameters: WarpParameters = DEFAULT,
) -> tuple[Array, tuple[float, float]]:
    """Sample control displacements that cover an image.

    Args:
        rng: generator of the displacements.
        size: (height, width) px of the image.
        spacing: px between control points.
        amplitude: px, standard deviation of each displacement along x and y.
        strain: upper bound of the warp's strain; all displacements are scaled down to keep it.
        parameters: limits of the computation.

    Returns:
        The displacements float64 [Gy, Gx, 2] and the origin (x, y) px, both for `Warp`.
    """
    height, width = size
    rows, columns = math.ceil(height / spacing) + 3, math.ceil(width / spacing) + 3
    control = rng.normal(0.0, amplitude, (rows, columns, 2))
    origin = (-spacing, -spacing)
    bound = Warp(IDENTITY, control * 1e-6, spacing, origin).strain * 1e6
    return control * min(1.0, strain / max(bound, parameters.least_strain)), origin
