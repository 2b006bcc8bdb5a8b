"""Warps between images, in closed form, so that ground truth is exact and not interpolated.

Points are (x, y) in px with the centre of the top-left pixel at (0, 0). A `Warp` maps output
points to source points, which is the direction in which an image is resampled:

    warp(p) = matrix · (p + d(p))

`d` is a uniform cubic B-spline of control displacements (Rueckert et al. 1999, "Nonrigid
registration using free-form deformations"), zero outside its support: twice differentiable,
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
AREA = (1e-3, 1e6)  # of a px elsewhere, as a warp may be read from a file


def rotation(
    angle: float, centre: tuple[float, float], shift: tuple[float, float] = (0, 0)
) -> Array:
    """Matrix float64 [2, 3] that turns by `angle` (rad, counter-clockwise as seen) about `centre`.

    `shift` (x, y) px is added after the turn.
    """
    c, s = math.cos(angle), math.sin(angle)
    (x, y), (dx, dy) = centre, shift
    # y points down, so counter-clockwise as seen is -s below
    return np.array([[c, s, x - (c * x + s * y) + dx], [-s, c, y - (c * y - s * x) + dy]])


def scaling(scale: float) -> Array:
    """Matrix float64 [2, 3] to an image's px from those of one with `scale` times as many a length.

    Their upper left corners lie on each other, and so do all edges.
    """
    shift = 0.5 / scale - 0.5  # px have their centres half a px from the edge in both
    return np.array([[1 / scale, 0.0, shift], [0.0, 1 / scale, shift]])


# Products of small matrices are written out: BLAS rounds them differently from machine to machine.


def apply_affine(matrix: Array, points: Array) -> Array:
    """Points [..., 2] under a [2, 3] matrix."""
    made = np.empty(points.shape)  # plane by plane: numpy is slow along an axis of two
    for k, (a, b, c) in enumerate(matrix.tolist()):
        made[..., k] = points[..., 0] * a + points[..., 1] * b + c
    return made


def invert_affine(matrix: Array) -> Array:
    """Inverse of a [2, 3] matrix; numpy.linalg.LinAlgError where there is none."""
    (a, b, x), (c, d, y) = matrix.tolist()
    determinant = a * d - b * c
    if determinant == 0:
        raise np.linalg.LinAlgError("the matrix has no inverse")
    a, b, c, d = d / determinant, -b / determinant, -c / determinant, a / determinant
    return np.array([[a, b, -(a * x + b * y)], [c, d, -(c * x + d * y)]])


def compose_affine(outer: Array, inner: Array) -> Array:
    """The matrix [2, 3] of `outer` after `inner`."""
    (a, b, x), (c, d, y) = inner.tolist()
    rows = [(p * a + q * c, p * b + q * d, p * x + q * y + r) for p, q, r in outer.tolist()]
    return np.array(rows)


def pixel_grid(height: int, width: int, stride: float = 1.0) -> Array:
    """Centres (x, y) float64 [H, W, 2] of the cells of `stride` px: stride·i + (stride - 1) / 2."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    return np.stack([x, y], -1) * stride + (stride - 1) / 2


@functools.lru_cache(maxsize=4)
def _axis(extent: int) -> Array:
    """0, 1, … float64 [extent]; to be read only."""
    return np.arange(float(extent))


def _basis(at: Array, count: int) -> Array:
    """Cubic B-spline values float64 [count, N] of control points at 0, 1, … at positions [N]."""
    distance = np.abs(at - np.arange(count)[:, None])
    far, near = np.maximum(2 - distance, 0), np.maximum(1 - distance, 0)
    return np.asarray((far * far * far - 4 * (near * near * near)) / 6)


def _product(down: Array, control: Array, across: Array) -> Array:
    """downᵀ [H, R] · control [R, C] · across [C, W], the same bits on every machine."""
    rows = sum(d[:, None] * c for d, c in zip(down, control, strict=True))
    total = np.zeros((down.shape[1], across.shape[1]))
    for column, weights in zip(np.transpose(rows), across, strict=True):
        total += column[:, None] * weights
    return total


@dataclass(frozen=True, eq=False)
class Warp:
    """Output point → source point: `matrix` after a cubic B-spline displacement.

    matrix: float64 [2, 3]. control: float64 [Gy, Gx, 2], displacement (x, y) in px of the control
    point that lies at origin + spacing · (column, row).
    """

    matrix: Array
    control: Array = field(default_factory=NO_CONTROL.copy)
    spacing: float = 1.0  # px between control points
    origin: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        """Refuse what could fold: a strain of 1 or more has no unique inverse."""
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
        """d(p) in px, float64 [..., 2], at points [..., 2]."""
        if not self.control.size:
            return np.zeros_like(points)
        across, down = self._bases(*points.reshape(-1, 2).T)
        planes = [((self.control[..., k] @ across) * down).sum(0) for k in (0, 1)]
        return np.stack(planes, -1).reshape(points.shape)

    def __call__(self, points: Array) -> Array:
        """Source points [..., 2] of output points [..., 2]."""
        return apply_affine(self.matrix, points + self.displacement(points))

    def dense(self, height: int, width: int) -> Array:
        """Source points float64 [H, W, 2] of every output pixel; the same values as __call__."""
        return np.stack(self.planes(height, width), -1)

    def planes(self, height: int, width: int, after: Array = IDENTITY) -> tuple[Array, Array]:
        """x and y, each float64 [H, W], of after · source of every output pixel."""
        (a, b, u), (c, d, v) = compose_affine(after, self.matrix).tolist()
        x, y = _axis(width), _axis(height)[:, None]
        if self.control.size:
            across, down = self._bases(_axis(width), _axis(height))
            x, y = (
                plane + _product(down, self.control[..., k], across)
                for k, plane in enumerate((x, y))
            )
        return a * x + (b * y + u), c * x + (d * y + v)  # sums of a row and a column are cheap

    def inverse(self, points: Array, tolerance: float = 1e-6) -> Array:
        """Output points [..., 2] of source points [..., 2], by fixed-point iteration."""
        target = apply_affine(invert_affine(self.matrix), points)
        if not self.control.size:
            return target
        found = target.copy()
        for _ in range(200):
            step = target - self.displacement(found) - found
            found += step
            if np.abs(step).max(initial=0.0) < tolerance:
                return found
        raise ValueError(f"warp of strain {self.strain:.2f} did not invert to {tolerance} px")

    def at_scale(self, scale: float) -> Warp:
        """The same from an output image of `scale` times as many px along either axis.

        The outer edges of both lie on each other.
        """
        finer = scaling(scale)
        x, y = (np.array(self.origin) - finer[:, 2]) * scale
        matrix = compose_affine(self.matrix, finer)
        return Warp(matrix, self.control * scale, self.spacing * scale, (float(x), float(y)))

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, exact when read back by `from_json`."""
        return {
            "matrix": self.matrix.tolist(),
            "control": self.control.tolist(),
            "spacing": self.spacing,
            "origin": list(self.origin),
        }

    @staticmethod
    def from_json(fields: dict[str, Any]) -> Warp:
        """The warp that `to_json` wrote, from px to px of one finger.

        KeyError, TypeError, OverflowError or ValueError where the fields hold none, or one that
        turns the finger over or shrinks it to nothing.
        """
        matrix = np.array(fields["matrix"], np.float64)
        control = np.array(fields["control"], np.float64).reshape(
            (0, 0, 2) if not fields["control"] else (len(fields["control"]), -1, 2)
        )
        spacing, (x, y) = float(fields["spacing"]), map(float, fields["origin"])
        if matrix.shape != (2, 3) or not all(
            np.isfinite(part).all() for part in (matrix, control, spacing, x, y)
        ):
            raise ValueError("a warp holds a 2×3 matrix and control displacements, all finite")
        (a, b, _), (c, d, _) = matrix.tolist()
        if not (spacing > 0 and AREA[0] < a * d - b * c < AREA[1]):
            raise ValueError(f"matrix {matrix.tolist()}, spacing {spacing}: no map of an image")
        return Warp(matrix, control, spacing, (x, y))

    def _bases(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[Array, Array]:
        """B-spline values of the columns [Gx, len(x)] and of the rows [Gy, len(y)] of `control`."""
        rows, columns = self.control.shape[:2]
        at_x, at_y = ((p - o) / self.spacing for p, o in zip((x, y), self.origin, strict=True))
        return _basis(at_x, columns), _basis(at_y, rows)


def random_control(
    rng: np.random.Generator, size: tuple[int, int], spacing: float, amplitude: float, strain: float
) -> tuple[Array, tuple[float, float]]:
    """Control displacements that cover an image of size (height, width) px, and their origin.

    Each is normal with deviation `amplitude` px; all are scaled down together where the strain
    bound of the resulting warp would pass `strain`.
    """
    rows, columns = (math.ceil(extent / spacing) + 3 for extent in size)
    control = rng.normal(0.0, amplitude, (rows, columns, 2))
    origin = (-spacing, -spacing)
    bound = Warp(IDENTITY, control * 1e-6, spacing, origin).strain * 1e6
    return control * min(1.0, strain / max(bound, 1e-12)), origin
