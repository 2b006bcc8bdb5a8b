"""Reference minutiae: minutiae of another program, to measure the registration of real impressions.

There is no true map between two real impressions, but their minutiae must meet. A minutia of A is
confirmed when the map takes it to within `max_distance` and `max_angle` of a minutia of B; each
minutia of B confirms one of A at most, nearest first.

The rigid oracle is the rotation and shift that confirms most reference minutiae, among all that map
one minutia of A exactly onto one of B. It is an upper bound for rigid methods.

Minutiae are float64 [N, 4]: x, y in px, direction in rad counter-clockwise as seen, quality. Files
of minutiae hold px of the image files; `at_500_ppi` converts them, as all tolerances are px at 500
ppi.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import Array, apply_affine, invert_affine, rotation
from shards.foundation import npz_file
from shards.foundation.errors import Fault

ORACLE = "rigid oracle"
VERSION = 1  # of the results: raise it with every change of code that changes them

PointMap = Callable[[Array], Array]  # points (x, y) [K, 2] of A → of B; NaN where there is none


@dataclass(frozen=True)
class MinutiaeParameters:
    """Tolerances of a confirmed minutia and of an aligned pair."""

    max_distance: float = 8.0  # px at 500 ppi; chosen: about a ridge period
    max_angle: float = np.pi / 8  # rad; chosen: 22.5°
    direction_step: float = 4.0  # px along a minutia's direction; the map turns the step
    aligned_share: float = 0.8  # of the oracle's confirmed share; chosen


DEFAULT = MinutiaeParameters()


def load(path: Path, files: Iterable[Path]) -> dict[str, Array]:
    """Read the minutiae of image files.

    Args:
        path: an .npz file with one array [N, 4] (or [N, 3], without quality) for each file name.
        files: the image files that must have minutiae.

    Returns:
        {file name: minutiae}.

    Raises:
        Misuse: there is no such file.
        Fault: the file is damaged, or minutiae are missing or of another shape.
    """
    arrays = npz_file.read(path, "file of minutiae")
    for name in (file.name for file in files):
        if name not in arrays:
            raise Fault(f"{path}: holds no minutiae of {name}; expected an array of that name")
    for name, array in arrays.items():
        _check_minutiae(path, name, array)
    return {name: array.astype(np.float64) for name, array in arrays.items()}


def _check_minutiae(path: Path, name: str, array: NDArray[Any]) -> None:
    """Raise a Fault where an array holds no minutiae [N, 3 or more]."""
    if array.ndim != 2 or array.shape[1] < 3 or array.dtype.kind not in "fiu":
        raise Fault(
            f"{path}: {name} is {array.dtype} {list(array.shape)}; expected numbers [N, 4], x, y,"
            " direction, quality"
        )
    if not np.isfinite(array).all():
        raise Fault(f"{path}: {name} holds numbers that are not finite")


def at_500_ppi(minutiae: Array, to_file: Array) -> Array:
    """Convert minutiae from px of a file to px at 500 ppi, upright.

    Args:
        minutiae: [N, 3 or more], x, y, direction and more.
        to_file: float64 [2, 3], px at 500 ppi → px of the file.

    Returns:
        float64 [N, 3], x, y, direction.
    """
    points, direction = carry(minutiae, functools.partial(apply_affine, invert_affine(to_file)))
    return np.c_[points, direction]


def is_aligned(confirmed: float, oracle: float, parameters: MinutiaeParameters = DEFAULT) -> bool:
    """Return whether a map confirms enough minutiae of a pair; never where it confirms none.

    Args:
        confirmed: share of the minutiae that the map confirms.
        oracle: share that the rigid oracle confirms.
        parameters: the share of it that is enough.
    """
    return confirmed > 0 and confirmed >= parameters.aligned_share * oracle


def distances(
    a: Array, b: Array, point_map: PointMap, parameters: MinutiaeParameters = DEFAULT
) -> Array:
    """Compute the distances of the confirmed minutiae.

    Args:
        a: minutiae of A [N, 4].
        b: minutiae of B [M, 4].
        point_map: the map from A to B.
        parameters: tolerances.

    Returns:
        float64 [K], px of B, from each confirmed minutia of A, mapped, to that of B.
    """
    cost = _candidates(*carry(a, point_map, parameters), b, parameters)
    rows, columns = _assign(cost).T
    return np.asarray(cost[rows, columns])


def mates(
    a: Array, b: Array, point_map: PointMap, parameters: MinutiaeParameters = DEFAULT
) -> NDArray[np.intp]:
    """Return the confirmed minutiae [K, 2]: the index in A and that of its mate in B."""
    return _assign(_candidates(*carry(a, point_map, parameters), b, parameters))


def carry(
    minutiae: Array, point_map: PointMap, parameters: MinutiaeParameters = DEFAULT
) -> tuple[Array, Array]:
    """Carry minutiae [N, 4] through a map.

    Returns:
        Their positions float64 [N, 2] and directions [N] (rad counter-clockwise as seen) in B; NaN
        where the map is.
    """
    points = point_map(minutiae[:, :2])
    direction = np.c_[np.cos(minutiae[:, 2]), -np.sin(minutiae[:, 2])]  # y points down
    step = point_map(minutiae[:, :2] + parameters.direction_step * direction) - points
    return points, np.arctan2(-step[:, 1], step[:, 0])


def share(confirmed: int, a: Array, b: Array) -> float:
    """Return the confirmed share of the smaller set of minutiae."""
    return confirmed / max(1, min(len(a), len(b)))


def rigid_oracle(
    a: Array, b: Array, parameters: MinutiaeParameters = DEFAULT
) -> tuple[float, PointMap]:
    """Find the rigid map that confirms most minutiae.

    Args:
        a: minutiae of A [N, 4].
        b: minutiae of B [M, 4].
        parameters: tolerances.

    Returns:
        The share that it confirms, and the map (`no_correspondence` where nothing is confirmed).
    """
    best, point_map = 0, no_correspondence
    for angle, matrix in _rigid_candidates(a, b):
        points = apply_affine(matrix, a[:, :2])
        cost = _candidates(points, a[:, 2] + angle, b, parameters)
        possible = np.isfinite(cost)
        if min(possible.any(0).sum(), possible.any(1).sum()) <= best:
            continue  # it cannot confirm more minutiae than the best
        confirmed = len(_assign(cost))
        if confirmed > best:
            best, point_map = confirmed, functools.partial(apply_affine, matrix)
    return share(best, a, b), point_map


def no_correspondence(points: Array) -> Array:
    """Map each of the points [K, 2] to NaN."""
    return np.full(points.shape, np.nan)


def _rigid_candidates(a: Array, b: Array) -> list[tuple[float, Array]]:
    """Return angle and matrix [2, 3] of the motions that take a minutia of A onto one of B."""
    angles = (b[None, :, 2] - a[:, None, 2]).ravel().tolist()
    starts, ends = np.repeat(a[:, :2], len(b), 0), np.tile(b[:, :2], (len(a), 1))
    return [
        (angle, rotation(angle, tuple(start), tuple(end - start)))
        for angle, start, end in zip(angles, starts, ends, strict=True)
    ]


def _candidates(points: Array, angle: Array, b: Array, parameters: MinutiaeParameters) -> Array:
    """Return distances [N, M] of mapped minutiae to those of B; infinite beyond the tolerances."""
    distance = np.hypot(*np.moveaxis(points[:, None] - b[None, :, :2], -1, 0))
    turn = np.abs((angle[:, None] - b[None, :, 2] + np.pi) % (2 * np.pi) - np.pi)
    close = distance <= parameters.max_distance  # False where the map is NaN
    return np.where(close & (turn <= parameters.max_angle), distance, np.inf)


def _assign(cost: Array) -> NDArray[np.intp]:
    """Assign rows to columns one to one, least finite cost first; return row and column [K, 2]."""
    cost, assigned = cost.copy(), []
    while cost.size and np.isfinite(cost.min()):
        row, column = np.unravel_index(cost.argmin(), cost.shape)
        assigned.append((row, column))
        cost[row], cost[:, column] = np.inf, np.inf
    return np.array(assigned, np.intp).reshape(-1, 2)
