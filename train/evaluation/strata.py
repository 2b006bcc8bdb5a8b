"""Strata of pairs by conditions that make registration hard.

The conditions are rotation, overlap and distortion between both images, and the ridge quality of
the worse one. Each condition is divided into ranges; each range is a group of pairs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from model.network import grid, metrics
from train.evaluation.crop_methods import CropGrid

Floats = NDArray[np.float64]
Masks = dict[str, NDArray[np.bool_]]

# Condition: unit behind its numbers
CONDITIONS = {"rotation": "°", "overlap": "", "distortion": " px", "quality": ""}


@dataclass(frozen=True)
class StrataParameters:
    """Edges of the groups of each condition, and settings of the ridge quality."""

    rotation_edges: tuple[float, ...] = (0, 15, 30, 45, 60, 180)  # degrees; chosen
    overlap_edges: tuple[float, ...] = (0, 0.25, 0.5, 0.75, 1)  # share of A's cells; chosen
    distortion_edges: tuple[float, ...] = (0, 1, 2, 4, 8, math.inf)  # px at 500 ppi; chosen
    quality_edges: tuple[float, ...] = (0, 0.4, 0.5, 0.6, 0.7, 1)  # coherence; chosen
    quality_window: float = 16.0  # px at 500 ppi, standard deviation; chosen: two ridge periods
    min_contrast: float = 0.25  # of the gradient energy that the strongest decile exceeds; chosen

    def edges(self, condition: str) -> tuple[float, ...]:
        """Return the edges of the groups of a condition."""
        edges: tuple[float, ...] = getattr(self, f"{condition}_edges")
        return edges


DEFAULT = StrataParameters()


def measure(
    batch: Mapping[str, NDArray], crop: CropGrid, parameters: StrataParameters = DEFAULT
) -> dict[str, Floats]:
    """Measure the conditions of the B pairs of a batch.

    Args:
        batch: "map_ab" [B, G, G, 2], "visible" [B, G, G], "image_a" and "image_b" [B, H, W].
        crop: the cells.
        parameters: settings of the ridge quality.

    Returns:
        float64 [B] for each of CONDITIONS: the absolute rotation (degrees) of the rigid motion
        nearest to the true map; the share of A's cells that B shows too; the rms distance (px at
        500 ppi) of the true map from that motion; the ridge quality of the worse image. The first
        three are NaN where nothing corresponds.
    """
    side = round(len(crop.cells) ** 0.5)
    truth, visible = grid.pool_truth(
        jnp.asarray(batch["map_ab"]), jnp.asarray(batch["visible"]), side
    )
    cells = jnp.asarray(crop.cells, jnp.float32)
    motion = np.asarray(metrics.fit_rigid(cells, truth, visible.astype(jnp.float32)))
    mask = np.asarray(visible)
    count = mask.sum(1)
    defined = np.where(count > 0, 1.0, np.nan)
    squares = np.where(mask, _distance_from_motion(np.asarray(truth), motion, crop.cells), 0) ** 2
    rms = np.sqrt(squares.sum(1) / np.maximum(count, 1)) * crop.scale
    quality = [
        [ridge_quality(image, crop.scale, parameters) for image in batch[key]]
        for key in ("image_a", "image_b")
    ]
    return {
        "rotation": np.abs(np.degrees(np.angle(motion[:, 0]))) * defined,
        "overlap": mask.mean(1) * defined,
        "distortion": rms * defined,
        "quality": np.min(quality, axis=0),
    }


def ridge_quality(
    image: NDArray[np.uint8], scale: float, parameters: StrataParameters = DEFAULT
) -> float:
    """Compute how uniform the local ridge orientation of an image is.

    It is the mean coherence of the structure tensor (Bazen & Gerez, "Systematic methods for the
    computation of the directional fields and singular points of fingerprints", IEEE PAMI 24,
    2002) over the area with contrast.

    Args:
        image: uint8 [H, W].
        scale: px at 500 ppi per px of the image.
        parameters: window and least contrast.

    Returns:
        Coherence in [0, 1]; 0 without contrast anywhere.
    """
    grey = image.astype(np.float32)
    x, y = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    deviation = parameters.quality_window / scale
    xx, yy, xy = [cv2.GaussianBlur(part, (0, 0), deviation) for part in (x * x, y * y, x * y)]
    energy = xx + yy
    contrasted = energy > parameters.min_contrast * np.percentile(energy, 90)
    if not contrasted.any():
        return 0.0
    coherence = np.hypot(xx - yy, 2 * xy)[contrasted] / energy[contrasted]
    return float(coherence.mean())


def groups(conditions: Mapping[str, NDArray], parameters: StrataParameters = DEFAULT) -> Masks:
    """Return which of P pairs are in each group: {"rotation 15–30°": bool [P], …}.

    Args:
        conditions: float [P] for each of CONDITIONS. NaN is in no group.
        parameters: edges of the groups.
    """
    masks = {}
    for name, unit in CONDITIONS.items():
        values, edges = np.asarray(conditions[name], np.float64), parameters.edges(name)
        for low, high in itertools.pairwise(edges):
            below = values <= high if high == edges[-1] else values < high
            masks[group_name(name, low, high, unit)] = (values >= low) & below
    return masks


def group_name(condition: str, low: float, high: float, unit: str) -> str:
    """Return the name of a group, such as "rotation 15–30°"."""
    if math.isinf(high):
        return f"{condition} ≥ {low:g}{unit}"
    return f"{condition} {low:g}–{high:g}{unit}"


def _distance_from_motion(truth: NDArray, motion: NDArray, cells: Floats) -> Floats:
    """Return distances [B, N], px of the crop, of true points from rigid motions of the cells.

    Args:
        truth: float32 [B, N, 2].
        motion: complex64 [B, 2], see `metrics.fit_rigid`.
        cells: float64 [N, 2].
    """
    to_complex = np.array([1, 1j])
    moved = motion[:, :1] * (cells @ to_complex) + motion[:, 1:]
    distance: Floats = np.abs(moved - truth @ to_complex)
    return distance
