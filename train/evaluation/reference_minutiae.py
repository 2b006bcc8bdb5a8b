"""Minutiae of another program as a witness of how well real prints are registered.

There is no true map between two real impressions, but their minutiae must meet. A minutia of A is
confirmed when one of B lies within RADIUS and TURN of where a map puts it, one to one, nearest
first. The rigid oracle is the turn and shift, of those that bring one minutia of A onto one of B,
that most minutiae confirm: no rigid method can be seen to do better.

Minutiae [N, 4] are x, y in px of the file, the direction in rad counter-clockwise as seen, quality.
"""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import Array, apply_affine, rotation
from shards.foundation.errors import Fault, Misuse
from train.evaluation.file_methods import Answer, nowhere

RADIUS = 8.0  # px of the file, about a ridge period
TURN = np.pi / 8  # rad
STEP = 4.0  # px along a minutia's direction, by which that is carried
ALIGNED = 0.8  # of the oracle's confirmed share: a pair that reaches it is aligned
ORACLE = "rigid oracle"

Carry = Callable[[Array], Array]


def load(path: Path, files: Iterable[Path]) -> dict[str, Array]:
    """{file name: minutiae [N, 4]} from an .npz file; Misuse or Fault names what is missing."""
    try:
        with np.load(path, allow_pickle=False) as found:
            minutiae = {name: np.asarray(found[name], np.float64) for name in found.files}
    except FileNotFoundError as error:
        raise Misuse(f"{path}: no such file of minutiae") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise Fault(f"{path}: is no .npz file of minutiae: {error}") from error
    for name in (file.name for file in files):
        if name not in minutiae:
            raise Fault(f"{path}: holds no minutiae of {name}; expected an array of that name")
        shape = minutiae[name].shape
        if len(shape) != 2 or shape[1] < 3:
            raise Fault(
                f"{path}: {name} is {list(shape)}; expected [N, 4] x, y, direction, quality"
            )
    return minutiae


def distances(a: Array, b: Array, carry: Carry) -> Array:
    """px from the confirmed minutiae of A, carried by a map, to those of B that confirm them."""
    ahead = a[:, :2] + STEP * np.c_[np.cos(a[:, 2]), -np.sin(a[:, 2])]  # y points down
    place = carry(a[:, :2])
    moved = carry(ahead) - place
    away, near = _candidates(place, np.arctan2(-moved[:, 1], moved[:, 0]), b)
    return _one_to_one(np.where(near, away, np.inf))


def share(confirmed: int, a: Array, b: Array) -> float:
    """The share of the smaller constellation that is confirmed."""
    return confirmed / max(1, min(len(a), len(b)))


def oracle(a: Array, b: Array) -> Answer:
    """The rigid oracle's map; its score is the share that it confirms."""
    turn = (b[None, :, 2] - a[:, None, 2]).ravel()
    start, end = np.repeat(a[:, :2], len(b), 0), np.tile(b[:, :2], (len(a), 1))
    matrices = [
        rotation(angle, tuple(p), tuple(q - p))
        for angle, p, q in zip(turn.tolist(), start, end, strict=True)
    ]
    best, carry = 0, nowhere
    for angle, matrix in zip(turn, matrices, strict=True):
        away, near = _candidates(apply_affine(matrix, a[:, :2]), a[:, 2] + angle, b)
        if min(near.any(0).sum(), near.any(1).sum()) <= best:
            continue  # it cannot confirm more
        confirmed = len(_one_to_one(np.where(near, away, np.inf)))
        if confirmed > best:
            best, carry = confirmed, functools.partial(apply_affine, matrix)
    return Answer(share(best, a, b), carry)


def _candidates(place: Array, direction: Array, b: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Distances [N, M] of carried minutiae to those of B, and which of them confirm."""
    away = np.hypot(*np.moveaxis(place[:, None] - b[None, :, :2], -1, 0))
    off = np.abs((direction[:, None] - b[None, :, 2] + np.pi) % (2 * np.pi) - np.pi)
    return away, (away <= RADIUS) & (off <= TURN)  # never where the map is NaN


def _one_to_one(cost: Array) -> Array:
    """Greedily the least of the finite costs [N, M], then that of the other rows and columns."""
    cost, found = cost.copy(), []
    while cost.size and np.isfinite(least := cost.min()):
        found.append(float(least))
        row, column = np.unravel_index(cost.argmin(), cost.shape)
        cost[row], cost[:, column] = np.inf, np.inf
    return np.array(found)
