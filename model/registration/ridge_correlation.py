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
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from model.registration.box import Box
from model.registration.ridge_image import Field, RidgeImage
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
    # Standard deviations beyond which the pixels of a window are left out. Chosen: its share beyond
    # them is 0.003 along each axis.
    window_deviations: int = 3
    # Standard deviations from the overlap beyond which nodes are left out. Chosen: less than
    # `least_overlap` of their windows is filled.
    node_deviations: int = 1


DEFAULT = CorrelationParameters()


@dataclass(frozen=True, eq=False)
class Correlation:
    """Correlation of windows of A with B brought onto A, by the shift of B.

    Attributes:
        nodes: float64 [Ny, Nx, 2], centres (x, y) of the windows in A, px at 500 ppi; on a
            rectangle around the overlap.
        overlap: float32 [Ny, Nx], share of each window that both impressions fill.
        by_shift: float32 [S, S, Ny, Nx], by shift along y, then x: -(S // 2) … S // 2 px at
            250 ppi.
        spacing: distance between nodes, px at 500 ppi.
    """

    nodes: Array
    overlap: Field
    by_shift: Field
    spacing: int

    def unshifted(self, parameters: CorrelationParameters = DEFAULT) -> float:
        """Return the mean correlation without a shift, in [0, 1].

        An overlap below `full_area` lowers it in proportion.
        """
        valid = self.overlap > parameters.least_overlap
        if not valid.any():
            return 0.0
        middle = len(self.by_shift) // 2
        mean = max(0.0, float(self.by_shift[middle, middle][valid].mean()))
        area = float(valid.sum()) * self.spacing**2
        return min(1.0, mean) * min(1.0, area / parameters.full_area)


def ridge_correlation(
    deformation: GridMap,
    a: RidgeImage,
    b: RidgeImage,
    parameters: CorrelationParameters = DEFAULT,
) -> float:
    """Return the mean correlation of A's ridges with B's brought onto them, in [0, 1].

    An overlap below `full_area` lowers it in proportion.
    """
    return correlate(deformation, a, b, parameters.window, 0, parameters).unshifted(parameters)


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
    margin = largest_shift // 2  # B is needed beyond A's part, as far as shifts may bring it in
    deviation = math.ceil(window / 2)  # px at 250 ppi, as all below
    reach = parameters.window_deviations * deviation
    frame = Box.whole(a.mask)
    around_a = Box.around(a.mask).grow(reach).within(frame)
    ridges_b, mask_b = resample_ridges(deformation, b, around_a.grow(margin))
    overlap = a.mask[around_a.pixels] * mask_b[Box.whole(mask_b).grow(-margin).pixels]
    common = Box.around(overlap).moved(around_a.top, around_a.left)
    around_nodes = common.grow(parameters.node_deviations * deviation).within(frame)
    step = _node_step(overlap, parameters)
    node_y = _nodes(around_nodes.top, around_nodes.bottom, step)
    node_x = _nodes(around_nodes.left, around_nodes.right, step)
    box = around_nodes.grow(reach).within(around_a)
    down = _window_weights(node_y, np.arange(box.top, box.bottom), window)
    across = _window_weights(node_x, np.arange(box.left, box.right), window).T
    in_a = box.moved(-around_a.top, -around_a.left)
    by_shift = _correlate_shifts(
        a.ridges[box.pixels],
        ridges_b[in_a.moved(margin, margin).grow(margin).pixels],
        (node_y - box.top, node_x - box.left),
        (down, across),
        window,
    )
    nodes = np.stack(np.meshgrid(node_x, node_y), -1).astype(np.float64) * 2 + 0.5
    return Correlation(nodes, down @ overlap[in_a.pixels] @ across, by_shift, 2 * step)


def _correlate_shifts(
    a: Field,
    b: Field,
    nodes: tuple[NDArray[np.int64], NDArray[np.int64]],
    weights: tuple[Field, Field],
    window: float,
) -> Field:
    """Correlate the windows of a field with those of another, for all shifts of the other.

    Args:
        a: [h, w].
        b: [h + S - 1, w + S - 1].
        nodes: centres of the windows, rows [Ny] and columns [Nx] of `a`.
        weights: [Ny, h] and [w, Nx], of the windows along each axis.
        window: their standard deviation, px at 500 ppi.

    Returns:
        float32 [S, S, Ny, Nx], by shift along y, then x.
    """
    (height, width), (node_y, node_x), (down, across) = a.shape, nodes, weights
    count = len(b) - height + 1
    shifts = np.arange(count)[:, None]
    down_b = _window_weights((shifts + node_y).ravel(), np.arange(len(b)), window)
    across_b = _window_weights((shifts + node_x).ravel(), np.arange(b.shape[1]), window).T
    power_a = down @ a**2 @ across
    power_b = (down_b @ b**2 @ across_b).reshape(count, len(node_y), count, -1)
    by_shift = np.empty((count, count, len(node_y), len(node_x)), np.float32)
    for y, plane in enumerate(by_shift):
        shifted = sliding_window_view(b[y : y + height], width, 1)  # [h, S, w]
        rows = down @ (a[:, None] * shifted).reshape(height, -1)
        product = (rows.reshape(-1, width) @ across).reshape(len(node_y), count, -1)
        power = power_b[y] * power_a[:, None]
        plane[:] = (product / np.sqrt(power + np.float32(1e-6))).swapaxes(0, 1)
    return by_shift


def resample_ridges(deformation: GridMap, b: RidgeImage, box: Box) -> tuple[Field, Field]:
    """Resample the ridges and the mask of B into a box of A's frame."""
    y = 2 * np.arange(box.top, box.bottom, dtype=np.float64) + 0.5
    x = 2 * np.arange(box.left, box.right, dtype=np.float64) + 0.5
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


def _nodes(first: int, end: int, step: int) -> NDArray[np.int64]:
    """Return the positions along one axis, first ≤ position < end, of nodes on a fixed lattice.

    The middle where no node of the lattice lies there, as in a thin overlap at the frame.
    """
    positions = np.arange(step // 2, end, step)
    inside = positions[positions >= first]
    return inside if len(inside) else np.array([(first + end) // 2])


def _window_weights(
    positions: NDArray[np.int64], pixels: NDArray[np.int64], deviation: float
) -> Field:
    """Return Gaussian weights [N, n] around N positions along an axis of n px at 250 ppi.

    Their standard deviation is `deviation` px at 500 ppi. They sum to 1 over an endless axis:
    nothing lies beyond the pixels.
    """
    distance = (pixels - positions[:, None]) / (deviation / 2)
    bell = np.exp(-(distance**2) / 2) / (math.sqrt(2 * math.pi) * deviation / 2)
    return bell.astype(np.float32)
