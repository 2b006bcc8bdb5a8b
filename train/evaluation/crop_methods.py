"""Methods that register a pair of crops with known truth, and the measurement of their results.

Every method gives a `CropResult` at the centres of the same N cells, in px of the crops. A method
that finds no transform has the identity as its map, and the score 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from model.network import grid, metrics
from model.network.config import ModelConfig
from model.network.matching import Correspondences
from model.network.weights import CropGeometry
from model.registration import deformation, registrar, similarity
from model.registration.agreement import explained_matches
from model.registration.deformation import Deformation
from model.registration.hypotheses import best_hypothesis
from model.registration.method_version import METHOD_VERSION
from model.registration.ridge_image import RidgeImage, ridge_image
from pipeline.imaging.warp import apply_affine
from shards.foundation.blas_threads import one_blas_thread
from train.evaluation import phase, sift
from train.evaluation.file_methods import NETWORK, PHASE, SIFT

SMOOTH, REGISTERED = "network + smooth map", "network + smooth map + ridges"

# Of the measurement in this file, `model.network.metrics` and `train.evaluation.strata`: raise it
# with every change of code that changes stored results.
MEASUREMENT_VERSION = 1

Arrays = dict[str, NDArray[Any]]  # as metrics.evaluate_batch returns them, [B] or [B, N]
Image = NDArray[np.uint8]  # [H, W]


@dataclass(frozen=True, eq=False)
class CropResult:
    """The registration of one pair of crops by one method.

    Attributes:
        points: float64 [N, 2], (x, y) px in B of the cells of A.
        kept: bool [N], cells whose match the method keeps, as far as it rejects some.
        angle: rad from A to B, counter-clockwise as seen.
        score: higher for a more probable genuine pair.
    """

    points: NDArray[np.float64]
    kept: NDArray[np.bool_]
    angle: float
    score: float


@dataclass(frozen=True, eq=False)
class CropGrid:
    """The cells of a crop and its size.

    Attributes:
        cells: float64 [N, 2], (x, y) px of the centres.
        geometry: extent at 500 ppi and size in px of the crop.
    """

    cells: NDArray[np.float64]
    geometry: CropGeometry

    @property
    def scale(self) -> float:
        """Px at 500 ppi per px of the crop."""
        return self.geometry.crop / self.geometry.size

    def to_500_ppi(self, points: NDArray) -> NDArray[np.float64]:
        """Convert points [K, 2] from px of the crop to px at 500 ppi."""
        return (points.astype(np.float64) + 0.5) * self.scale - 0.5

    def to_crop(self, points: NDArray) -> NDArray[np.float64]:
        """Convert points [K, 2] from px at 500 ppi to px of the crop."""
        return np.asarray((points + 0.5) / self.scale - 0.5, np.float64)

    def enlarge(self, image: Image) -> Image:
        """Resample a crop to 500 ppi."""
        size = (self.geometry.crop, self.geometry.crop)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def crop_grid(config: ModelConfig, geometry: CropGeometry) -> CropGrid:
    """Return the cells of a network with `config` that was trained on crops of `geometry`."""
    return CropGrid(np.asarray(grid.centres(config.cells, config.stride), np.float64), geometry)


def versions() -> dict[str, int]:
    """Return the version of each method's results, and of their measurement."""
    return {
        "measurement": MEASUREMENT_VERSION,
        **dict.fromkeys((NETWORK, SMOOTH, REGISTERED), METHOD_VERSION),
        SIFT: sift.VERSION,
        PHASE: phase.VERSION,
    }


def register(
    image_a: Image, image_b: Image, matches: Correspondences, k: int, crop: CropGrid
) -> dict[str, CropResult]:
    """Register a pair of crops with every method but the network alone.

    Args:
        image_a: uint8 [H, W].
        image_b: uint8 [H, W].
        matches: the network's, of a batch.
        k: index of the pair in the batch.
        crop: the cells.

    Returns:
        {method: result}.
    """
    return {
        SMOOTH: smooth_map(matches, k, crop),
        REGISTERED: ridge_aligned_map(image_a, image_b, matches, k, crop),
        SIFT: sift_ransac(image_a, image_b, crop),
        PHASE: phase_correlation(image_a, image_b, crop),
    }


def smooth_map(matches: Correspondences, k: int, crop: CropGrid) -> CropResult:
    """Fit a smooth map to the network's matches of pair `k` of a batch.

    The score is the sum of the confidences of the matches that agree, divided by N.
    """
    table, cell = _match_table(matches, k, crop)
    fitted = deformation.fit_deformation(table, (crop.geometry.crop, crop.geometry.crop))
    if fitted is None:
        return _unregistered(crop)
    kept = np.zeros(len(crop.cells), bool)
    kept[cell[fitted.agrees]] = True
    score = float(np.asarray(matches.confidence[k])[kept].sum()) / len(crop.cells)
    return _result_of_map(fitted, kept, score, crop)


@one_blas_thread
def ridge_aligned_map(
    image_a: Image, image_b: Image, matches: Correspondences, k: int, crop: CropGrid
) -> CropResult:
    """Register as `model.registration.registrar` does: a smooth map, aligned by the ridges.

    The score is the ridge correlation.
    """
    table, cell = _match_table(matches, k, crop)
    ridges_a, ridges_b = _ridge_image(image_a, crop), _ridge_image(image_b, crop)
    aligned, score = best_hypothesis(table, ridges_a, ridges_b)
    if aligned is None:
        return _unregistered(crop)
    explained, _ = explained_matches(aligned, table)
    kept = np.zeros(len(crop.cells), bool)
    kept[cell[explained]] = True
    return _result_of_map(aligned, kept, score, crop)


def sift_ransac(image_a: Image, image_b: Image, crop: CropGrid) -> CropResult:
    """Register by SIFT + RANSAC: keeps the cells that hold an inlier; scores by their number."""
    fit = sift.align(image_a, image_b, crop.scale)
    if fit is None:
        return _unregistered(crop)
    half_side = crop.cells[0, 0] + 0.5  # of a cell
    offset = np.abs(crop.cells[:, None] - fit.inliers[None, :, :2]).max(-1)
    kept = (offset <= half_side).any(1)
    angle = similarity.rotation_angle(fit.matrix)
    return CropResult(apply_affine(fit.matrix, crop.cells), kept, angle, float(len(fit.inliers)))


def phase_correlation(image_a: Image, image_b: Image, crop: CropGrid) -> CropResult:
    """Register by phase correlation: keeps the cells that it maps into B; scores by its peak."""
    alignment = phase.align(crop.enlarge(image_a), crop.enlarge(image_b))
    points = crop.to_crop(apply_affine(alignment.matrix, crop.to_500_ppi(crop.cells)))
    inside = np.all((points > -0.5) & (points < crop.geometry.size - 0.5), axis=-1)
    angle = similarity.rotation_angle(alignment.matrix)
    return CropResult(points, inside, angle, alignment.response)


def measure(results: Sequence[CropResult], batch: Mapping[str, NDArray], crop: CropGrid) -> Arrays:
    """Compare the results of one method with the truth of a batch.

    Args:
        results: of B pairs.
        batch: "map_ab" [B, G, G, 2], "visible" [B, G, G] and "genuine" [B].
        crop: the cells.

    Returns:
        The arrays that `metrics.evaluate_batch` returns for the network alone.
    """
    side = round(len(crop.cells) ** 0.5)
    truth, visible = grid.pool_truth(
        jnp.asarray(batch["map_ab"]), jnp.asarray(batch["visible"]), side
    )
    cells = jnp.asarray(crop.cells, jnp.float32)
    true_motion = metrics.fit_rigid(cells, truth, visible.astype(jnp.float32))
    turn = np.exp(-1j * np.array([result.angle for result in results]))  # as x + iy, y down
    points = np.array([result.points for result in results])
    return {
        "error": np.linalg.norm(points - np.asarray(truth), axis=-1) * crop.scale,
        "visible": np.asarray(visible),
        "kept": np.array([result.kept for result in results]),
        "rotation_error": np.abs(np.angle(turn * np.conj(np.asarray(true_motion)[:, 0]))),
        "score": np.array([result.score for result in results]),
        "genuine": batch["genuine"],
    }


def _match_table(
    matches: Correspondences, k: int, crop: CropGrid
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the matches of pair `k` [K, 5], px at 500 ppi, and the index of their cells [K]."""
    confidence = np.asarray(matches.confidence[k])
    used = np.asarray(matches.mutual[k]) & (confidence > registrar.DEFAULT.least_confidence)
    cell = np.flatnonzero(used)
    points_a = crop.to_500_ppi(crop.cells[cell])
    points_b = crop.to_500_ppi(np.asarray(matches.points[k])[cell])
    return np.c_[points_a, points_b, confidence[cell]], cell


def _ridge_image(image: Image, crop: CropGrid) -> RidgeImage:
    """Return the ridges of a crop, all of which counts as foreground."""
    return ridge_image(crop.enlarge(image), np.ones((crop.geometry.crop,) * 2, bool))


def _result_of_map(
    fitted: Deformation, kept: NDArray[np.bool_], score: float, crop: CropGrid
) -> CropResult:
    """Evaluate a map at the cells."""
    points = crop.to_crop(fitted(crop.to_500_ppi(crop.cells)))
    return CropResult(points, kept, similarity.rotation_angle(fitted.matrix), score)


def _unregistered(crop: CropGrid) -> CropResult:
    """Return the result of a method that found no transform: the identity, score 0."""
    return CropResult(crop.cells, np.zeros(len(crop.cells), bool), 0.0, 0.0)
