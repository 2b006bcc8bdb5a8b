"""Normalised cross-correlation of the ridges of A with those of B brought onto A.

(Lewis, "Fast normalized cross-correlation", Vision Interface 1995.) B is resampled into the frame
of A by a deformation; both are compared in Gaussian windows around nodes all over their overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from model.registration.ridge_image import Field, RidgeImage, blur
from pipeline.imaging.warp import Array


class GridMap(Protocol):
    """A map from A to B, such as a `Deformation`, that is evaluated on a grid."""

    def on_grid(self, x: Array, y: Array) -> Array:
        """Map the points of A at columns x [W] and rows y [H], px at 500 ppi, to B: [H, W, 2]."""


@dataclass(frozen=True)
class CorrelationParameters:
    """Parameters of the correlation. Lengths are px at 500 ppi."""

    # Spacing of the nodes, and number of nodes beyond which they lie further apart. Chosen: about
    # two ridges; the number bounds the time for large impressions.
    node_spacing: int = 20
    most_nodes: int = 500
    # Share of a window that both impressions must fill. Chosen.
    least_overlap: float = 0.4
    # Standard deviation of the window of `ridge_correlation`. Chosen: about two ridges.
    window: float = 16.0
    # Overlap, px², that a correlation needs to count in full. Chosen: 96 px squared; in less, a few
    # ridges correlate by chance.
    full_area: float = 96.0 * 96.0


DEFAULT = CorrelationParameters()


@dataclass(frozen=True, eq=False)
class Correlation:
    """Correlation of windows of A with B brought onto A, by the shift of B.

    Attributes:
        nodes: float64 [Ny, Nx, 2], centres (x, y) of the windows in A, px at 500 ppi.
        overlap: float32 [Ny, Nx], share of each window that both impressions fill.
        by_shift: float32 [S, S, Ny, Nx], by shift along y, then x: -S // 2 … S // 2 px at 250 ppi.
        spacing: distance between nodes, px at 500 ppi.
    """

    nodes: Array
    overlap: Field
    by_shift: Field
    spacing: int


def ridge_correlation(
    deformation: GridMap,
    a: RidgeImage,
    b: RidgeImage,
    parameters: CorrelationParameters = DEFAULT,
) -> float:
    """Return the mean correlation of A's ridges with B's brought onto them, in [0, 1].

    An overlap below `full_area` lowers it in proportion.
    """
    correlation = correlate(deformation, a, b, parameters.window, 0, parameters)
    valid = correlation.overlap > parameters.least_overlap
    if not valid.any():
        return 0.0
    mean = max(0.0, float(correlation.by_shift[0, 0][valid].mean()))
    area = float(valid.sum()) * correlation.spacing**2
    return min(1.0, mean) * min(1.0, area / parameters.full_area)


def correlate(
    deformation: GridMap,
    a: RidgeImage,
    b: RidgeImage,
    window: float,
    largest_shift: int,
    parameters: CorrelationParameters = DEFAULT,
) -> Correlation:
    """Correlate windows of A with B brought onto A, for all shifts of B.

    Args:
        deformation: from A to B.
        a, b: the ridges of both.
        window: standard deviation of the Gaussian windows, px at 500 ppi.
        largest_shift: along each axis, px at 500 ppi; the shifts are 2 px apart.
        parameters: see `CorrelationParameters`.
    """
    height, width = a.mask.shape
    margin = largest_shift // 2  # B is needed beyond A's frame, as far as shifts may bring it in
    ridges_b, mask_b = resample_ridges(deformation, b, (height, width), margin)
    overlap = a.mask * mask_b[margin : margin + height, margin : margin + width]
    step = _node_step(overlap, parameters)
    node_y, node_x = np.arange(step // 2, height, step), np.arange(step // 2, width, step)
    down = _window_weights(node_y, height, window)
    across = _window_weights(node_x, width, window).T
    power_a, power_b = down @ a.ridges**2 @ across, blur(ridges_b**2, window)

    def at_shift(y: int, x: int) -> Field:
        product = down @ (a.ridges * ridges_b[y : y + height, x : x + width]) @ across
        power = power_a * power_b[np.ix_(node_y + y, node_x + x)]
        return np.asarray(product / np.sqrt(power + 1e-6))

    shifts = range(2 * margin + 1)
    by_shift = np.array([[at_shift(y, x) for x in shifts] for y in shifts])
    nodes = np.stack(np.meshgrid(node_x, node_y), -1).astype(np.float64) * 2 + 0.5
    return Correlation(nodes, down @ overlap @ across, by_shift, 2 * step)


def resample_ridges(
    deformation: GridMap, b: RidgeImage, shape: tuple[int, ...], margin: int = 0
) -> tuple[Field, Field]:
    """Resample the ridges and the mask of B into A's frame of `shape`, `margin` px wider."""
    height, width = shape
    y = 2 * np.arange(-margin, height + margin, dtype=np.float64) + 0.5
    x = 2 * np.arange(-margin, width + margin, dtype=np.float64) + 0.5
    points = (deformation.on_grid(x, y) - 0.5) / 2  # px at 500 ppi → px at 250 ppi
    return _sample(b.ridges, points), _sample(b.mask, points)


def _sample(field: Field, points: Array) -> Field:
    """Interpolate a field linearly at points [h, w, 2]; 0 beyond its frame."""
    x, y = np.moveaxis(points.astype(np.float32), -1, 0)
    sampled = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(sampled, np.float32)


def _node_step(overlap: Field, parameters: CorrelationParameters) -> int:
    """Return the distance between nodes, px at 250 ppi."""
    spread = math.ceil(2 * math.sqrt(float(overlap.sum()) / parameters.most_nodes))
    return max(parameters.node_spacing, spread) // 2


def _window_weights(positions: NDArray[np.int64], extent: int, deviation: float) -> Field:
    """Return Gaussian weights [N, extent] around N positions along an axis of px at 250 ppi.

    They sum to 1 over an endless axis: nothing lies beyond the frame.
    """
    distance = (np.arange(extent) - positions[:, None]) / (deviation / 2)
    bell = np.exp(-(distance**2) / 2) / (math.sqrt(2 * math.pi) * deviation / 2)
    return bell.astype(np.float32)
