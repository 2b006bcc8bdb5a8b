"""The ways of registering two image files that the FVC protocol compares.

Each answers with a score and carries points of A to B. The classical ones see the whole print at
500 ppi, as the network's crop is taken from it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.registration.impression import PreparedImpression
from model.registration.registrar import Registrar
from pipeline.imaging import preprocess, resolution
from pipeline.imaging.preprocess import Prepared
from pipeline.imaging.warp import Array, apply_affine, compose_affine, invert_affine
from train.evaluation import phase, sift

NETWORK, SIFT, PHASE = "network", "SIFT + RANSAC", "phase correlation"
OPEN_PRINTS = 256  # kept ready, since a print is in many pairs


@dataclass(frozen=True, eq=False)
class Answer:
    """What a method says of two files."""

    score: float  # higher = same finger
    carry: Callable[[Array], Array]  # points (x, y) [K, 2], px of file A → of B; NaN where none


@dataclass(frozen=True, eq=False)
class Opened:
    """A file made ready for every method."""

    network: PreparedImpression
    prepared: Prepared
    features: sift.Features


class Methods:
    """The network, SIFT + RANSAC and phase correlation."""

    names = (NETWORK, SIFT, PHASE)

    def __init__(self, registrar: Registrar, ppi: float | None = None) -> None:
        """With the resolution of all files, their own where no `ppi` is given."""
        self._registrar, self._ppi = registrar, ppi
        self._open = functools.lru_cache(OPEN_PRINTS)(self._made_ready)

    def compare(self, path_a: Path, path_b: Path) -> dict[str, Answer]:
        """{method: its answer}; Fault that names a file that cannot be registered."""
        a, b = self._open(path_a), self._open(path_b)
        found = self._registrar.register_impressions(a.network, b.network)
        aligned = phase.align(a.prepared.image, b.prepared.image)
        return {
            NETWORK: Answer(found.score, functools.partial(sampled, found.map_ab)),
            SIFT: _of_sift(a, b),
            PHASE: Answer(aligned.response, _in_files(aligned.matrix, a, b)),
        }

    def _made_ready(self, path: Path) -> Opened:
        ppi = self._ppi or resolution.of_file(path)
        network = self._registrar.prepare_file(path, ppi)
        prepared = preprocess.prepare(preprocess.load(path), ppi, str(path))
        return Opened(network, prepared, sift.describe(prepared.image))


def sampled(map_ab: NDArray[np.float32], points: Array) -> Array:
    """Points [K, 2] through a map [H, W, 2], bilinear; NaN where it says nothing, or beyond it."""
    if not len(points):
        return np.zeros((0, 2))
    x, y = (column[None] for column in points.astype(np.float32).T)
    nothing = (float("nan"),) * 2
    found = cv2.remap(
        map_ab, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=nothing
    )
    return np.asarray(found[0], np.float64)


def nowhere(points: Array) -> Array:
    """No correspondence for any point [K, 2]."""
    return np.full(points.shape, np.nan)


def _of_sift(a: Opened, b: Opened) -> Answer:
    found = sift.match(a.features, b.features)
    if found is None:
        return Answer(0.0, nowhere)
    return Answer(float(len(found.inliers)), _in_files(found.matrix, a, b))


def _in_files(matrix: Array, a: Opened, b: Opened) -> Callable[[Array], Array]:
    """A matrix [2, 3] between px at 500 ppi as one between px of the files."""
    to_working = compose_affine(matrix, invert_affine(a.prepared.to_original))
    return functools.partial(apply_affine, compose_affine(b.prepared.to_original, to_working))
