"""The ways of registering a pair of crops that an evaluation compares, and how they are measured.

Each says the same of a pair (`Claimed`), at the centres of the same N cells, in px of the crops.
One that finds no transform leaves the prints as they are, centre on centre, and scores 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from model import dense, grid, metrics, register, similarity
from model.matching import Correspondences
from model.weights import View
from pipeline.warp import apply_affine
from train import baseline

Arrays = dict[str, NDArray[Any]]  # as metrics.evaluate_batch returns them, [B] or [B, N]
Cells = NDArray[np.float64]  # [N, 2], (x, y) px of a crop


@dataclass(frozen=True, eq=False)
class Claimed:
    """What a method says of one pair."""

    points: NDArray[np.float64]  # [N, 2], (x, y) px in B of A's cells
    kept: NDArray[np.bool_]  # [N], the cells with a match that it stands by
    angle: float  # rad, from A to B, counter-clockwise as seen
    score: float  # higher = same finger


def smooth(found: Correspondences, k: int, cells: Cells, view: View) -> Claimed:
    """The map that `model.register` makes of the network's matches of pair k of a batch."""
    scale = view.crop / view.size
    matched = found.mutual[k] & (found.confidence[k] > register.LEAST_CONFIDENCE)
    columns = np.c_[cells * scale, found.points[k] * scale, found.confidence[k]]
    fitted = dense.fit(columns[matched], (view.crop, view.crop))
    if fitted is None:
        return _nothing(cells)
    points = fitted(cells * scale) / scale
    kept = np.zeros(len(cells), bool)
    kept[np.flatnonzero(matched)[fitted.agrees]] = True
    overlap = int(((points >= -0.5) & (points < view.size - 0.5)).all(1).sum())
    score = register.support(float(found.confidence[k][kept].sum()), overlap, len(cells))
    return Claimed(points, kept, similarity.angle(fitted.matrix), score)


def sift(
    image_a: NDArray[np.uint8], image_b: NDArray[np.uint8], cells: Cells, view: View
) -> Claimed:
    """SIFT + RANSAC: it stands by the cells that hold an inlier, and scores by their number."""
    found = baseline.align(image_a, image_b, view.crop / view.size)
    if found is None:
        return _nothing(cells)
    half = cells[0, 0] + 0.5  # of a cell's side
    away = np.abs(cells[:, None] - found.inliers[None, :, :2]).max(-1)
    kept = (away <= half).any(1)
    points = apply_affine(found.matrix, cells)
    return Claimed(points, kept, similarity.angle(found.matrix), float(len(found.inliers)))


def measure(
    claims: Sequence[Claimed], batch: dict[str, NDArray], cells: Cells, view: View
) -> Arrays:
    """What `metrics.evaluate_batch` returns, of claims for the B pairs of a batch."""
    scale, side = view.crop / view.size, round(len(cells) ** 0.5)
    truth, visible = grid.pool_truth(
        jnp.asarray(batch["map_ab"]), jnp.asarray(batch["visible"]), side
    )
    motion = metrics.fit_rigid(jnp.asarray(cells, jnp.float32), truth, visible.astype(jnp.float32))
    turned = np.exp(-1j * np.array([claim.angle for claim in claims]))  # as x + iy, y down
    points = np.array([claim.points for claim in claims])
    return {
        "error": np.linalg.norm(points - np.asarray(truth), axis=-1) * scale,
        "visible": np.asarray(visible),
        "kept": np.array([claim.kept for claim in claims]),
        "rotation_error": np.abs(np.angle(turned * np.conj(np.asarray(motion)[:, 0]))),
        "score": np.array([claim.score for claim in claims]),
        "genuine": batch["genuine"],
    }


def _nothing(cells: Cells) -> Claimed:
    return Claimed(cells, np.zeros(len(cells), bool), 0.0, 0.0)
