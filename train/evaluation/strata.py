"""What makes a pair hard: how far it is turned, displaced and distorted, and how clear it is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import cv2
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from model.network import grid, metrics
from model.network.weights import CropGeometry

Floats = NDArray[np.float64]
Cells = Floats  # [N, 2], (x, y) px of a crop
Masks = dict[str, NDArray[np.bool_]]

WINDOW = 16.0  # px at 500 ppi, deviation of the window in which ridges should have one direction
CONTRAST = 0.25  # of the strongest decile's: where less is seen, no ridges are judged

# Condition: what stands behind the number, and the borders of the groups
BINS: dict[str, tuple[str, tuple[float, ...]]] = {
    "rotation": ("°", (0, 15, 30, 45, 60, 180)),
    "overlap": ("", (0, 0.25, 0.5, 0.75, 1)),
    "distortion": (" px", (0, 1, 2, 4, 8, math.inf)),
    "quality": ("", (0, 0.4, 0.5, 0.6, 0.7, 1)),
}


def measure(batch: Mapping[str, NDArray], cells: Cells, view: CropGeometry) -> dict[str, Floats]:
    """The conditions [B] of the pairs of a batch; the first three NaN where nothing corresponds.

    rotation: degrees, whatever the sense, of the rigid motion nearest to the true map. overlap:
    the share of A's N cells that B shows too. distortion: rms distance, px at 500 ppi, of the true
    map from that motion. quality: `clarity` of the print that has less of it.
    """
    side = round(len(cells) ** 0.5)
    truth, visible = grid.pool_truth(
        jnp.asarray(batch["map_ab"]), jnp.asarray(batch["visible"]), side
    )
    source = jnp.asarray(cells, jnp.float32)
    motion = np.asarray(metrics.fit_rigid(source, truth, visible.astype(jnp.float32)))
    points, seen = np.asarray(truth) @ np.array([1, 1j]), np.asarray(visible)
    turn, shift = motion[:, :1], motion[:, 1:]
    off = np.where(seen, np.abs(turn * (cells @ np.array([1, 1j])) + shift - points), 0)
    count = seen.sum(1)
    known = np.where(count > 0, 1.0, np.nan)
    rms = np.sqrt((off**2).sum(1) / np.maximum(count, 1)) * view.crop / view.size
    clear = [[clarity(image, view) for image in batch[key]] for key in ("image_a", "image_b")]
    return {
        "rotation": np.abs(np.degrees(np.angle(turn[:, 0]))) * known,
        "overlap": seen.mean(1) * known,
        "distortion": rms * known,
        "quality": np.min(clear, axis=0),
    }


def clarity(image: NDArray[np.uint8], view: CropGeometry) -> float:
    """How far the ridges of a crop uint8 [S, S] have one direction around each place, in [0, 1].

    The mean coherence of the structure tensor (Bazen & Gerez, "Systematic methods for the
    computation of the directional fields and singular points of fingerprints", IEEE PAMI 24, 2002)
    over what shows contrast; 0 where nothing does.
    """
    field = image.astype(np.float32)
    x, y = (cv2.Sobel(field, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    sigma = WINDOW * view.size / view.crop
    xx, yy, xy = (cv2.GaussianBlur(part, (0, 0), sigma) for part in (x * x, y * y, x * y))
    energy = xx + yy
    judged = energy > CONTRAST * np.percentile(energy, 90)
    if not judged.any():
        return 0.0
    coherence = np.hypot(xx - yy, 2 * xy)[judged] / energy[judged]
    return float(coherence.mean())


def groups(found: Mapping[str, NDArray]) -> Masks:
    """Which of P pairs lie in each group of each condition: {"rotation 15–30°": [P], …}."""
    masks = {}
    for name, (unit, edges) in BINS.items():
        values = np.asarray(found[name], np.float64)
        for low, high in itertools.pairwise(edges):
            upper = values <= high if high == edges[-1] else values < high
            masks[label(name, low, high, unit)] = (values >= low) & upper
    return masks


def label(name: str, low: float, high: float, unit: str) -> str:
    """The name of a group."""
    return f"{name} ≥ {low:g}{unit}" if math.isinf(high) else f"{name} {low:g}–{high:g}{unit}"
