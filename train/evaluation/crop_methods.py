"""The ways of registering a pair of crops that an evaluation compares, and how they are measured.

Each says the same of a pair (`Claimed`), at the centres of the same N cells, in px of the crops.
One that finds no transform leaves the prints as they are, centre on centre, and scores 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from model.network import grid, metrics
from model.network.matching import Correspondences
from model.network.weights import CropGeometry
from model.registration import deformation, registrar, similarity
from model.registration.deformation import Deformation
from model.registration.hypotheses import best_hypothesis
from model.registration.ridge_image import ridge_image
from pipeline.imaging.warp import apply_affine
from train.evaluation import phase, sift

Arrays = dict[str, NDArray[Any]]  # as metrics.evaluate_batch returns them, [B] or [B, N]
Cells = NDArray[np.float64]  # [N, 2], (x, y) px of a crop
Images = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # A and B [H, W]


@dataclass(frozen=True, eq=False)
class Claimed:
    """What a method says of one pair."""

    points: NDArray[np.float64]  # [N, 2], (x, y) px in B of A's cells
    kept: NDArray[np.bool_]  # [N], the cells with a match that it stands by
    angle: float  # rad, from A to B, counter-clockwise as seen
    score: float  # higher = same finger


def smooth(found: Correspondences, k: int, cells: Cells, view: CropGeometry) -> Claimed:
    """The smooth map that the network's matches of pair k of a batch support.

    It scores by the confidence of the matches that agree, over all cells.
    """
    matches, of_cell = _matches(found, k, cells, view)
    fitted = deformation.fit_deformation(matches, (view.crop, view.crop))
    if fitted is None:
        return _nothing(cells)
    kept = np.zeros(len(cells), bool)
    kept[of_cell[fitted.agrees]] = True
    score = float(found.confidence[k][kept].sum()) / len(cells)
    return _claim(fitted, kept, score, cells, view)


def registered(
    found: Correspondences, k: int, images: Images, cells: Cells, view: CropGeometry
) -> Claimed:
    """What `model.registration.registrar` makes of those matches: the smooth map refined on the ridges."""
    matches, of_cell = _matches(found, k, cells, view)
    a, b = (
        ridge_image(_enlarged(image, view), np.ones((view.crop,) * 2, bool)) for image in images
    )
    refined, score = best_hypothesis(matches, a, b)
    if refined is None:
        return _nothing(cells)
    off = np.hypot(*(refined(matches[:, :2]) - matches[:, 2:4]).T)
    kept = np.zeros(len(cells), bool)
    kept[of_cell[off < registrar.DEFAULT.explained_distance]] = True
    return _claim(refined, kept, score, cells, view)


def sift_ransac(images: Images, cells: Cells, view: CropGeometry) -> Claimed:
    """SIFT + RANSAC: it stands by the cells that hold an inlier, and scores by their number."""
    found = sift.align(*images, view.crop / view.size)
    if found is None:
        return _nothing(cells)
    half = cells[0, 0] + 0.5  # of a cell's side
    away = np.abs(cells[:, None] - found.inliers[None, :, :2]).max(-1)
    kept = (away <= half).any(1)
    points = apply_affine(found.matrix, cells)
    return Claimed(points, kept, similarity.rotation_angle(found.matrix), float(len(found.inliers)))


def phased(images: Images, cells: Cells, view: CropGeometry) -> Claimed:
    """Phase correlation: it stands by every cell that it puts into B, and scores by its peak."""
    found = phase.align(*(_enlarged(image, view) for image in images))
    points = _to_crop(apply_affine(found.matrix, _to_500(cells, view)), view)
    inside = np.all((points > -0.5) & (points < view.size - 0.5), axis=-1)
    return Claimed(points, inside, similarity.rotation_angle(found.matrix), found.response)


def measure(
    claims: Sequence[Claimed], batch: dict[str, NDArray], cells: Cells, view: CropGeometry
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


def _matches(
    found: Correspondences, k: int, cells: Cells, view: CropGeometry
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Matches [K, 5] of pair k in px at 500 ppi, and the cells [K] that they are of."""
    of_cell = np.flatnonzero(
        found.mutual[k] & (found.confidence[k] > registrar.DEFAULT.least_confidence)
    )
    points = [_to_500(at[of_cell], view) for at in (cells, np.asarray(found.points[k]))]
    return np.c_[points[0], points[1], found.confidence[k][of_cell]], of_cell


def _claim(
    fitted: Deformation, kept: NDArray, score: float, cells: Cells, view: CropGeometry
) -> Claimed:
    points = _to_crop(fitted(_to_500(cells, view)), view)
    return Claimed(points, kept, similarity.rotation_angle(fitted.matrix), score)


def _to_500(points: NDArray, view: CropGeometry) -> NDArray[np.float64]:
    """Px of a crop → px of the same crop at 500 ppi."""
    return (points.astype(np.float64) + 0.5) * (view.crop / view.size) - 0.5


def _to_crop(points: NDArray, view: CropGeometry) -> NDArray[np.float64]:
    """Px of a crop at 500 ppi → px of the crop."""
    return np.asarray((points + 0.5) / (view.crop / view.size) - 0.5, np.float64)


def _enlarged(image: NDArray[np.uint8], view: CropGeometry) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, (view.crop,) * 2, interpolation=cv2.INTER_CUBIC), np.uint8)


def _nothing(cells: Cells) -> Claimed:
    return Claimed(cells, np.zeros(len(cells), bool), 0.0, 0.0)
