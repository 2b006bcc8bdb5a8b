"""Measures of a registration that need no truth: agreement of the ridges, bending, mapped share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.registration.ridge_correlation import ridge_correlation
from pipeline.imaging import cropping
from pipeline.imaging.resolution import WORKING_PPI
from pipeline.imaging.warp import Array, apply_affine, invert_affine
from train.evaluation.file_methods import PreparedFile
from train.evaluation.reference_minutiae import PointMap

CM = WORKING_PPI / 2.54  # px


@dataclass(frozen=True)
class MapMeasureParameters:
    """Settings of the measures. Lengths are px at 500 ppi."""

    node_spacing: int = 16  # of the grid of bending and mapped share; chosen: two ridge periods
    points_at_once: int = 16_000  # chosen: OpenCV's limit is 32,767
    outside: float = -1e4  # a position that lies in no image, for OpenCV, which takes no NaN


DEFAULT = MapMeasureParameters()


@dataclass(frozen=True, eq=False)
class FileGridMap:
    """A map between px of files, evaluated at 500 ppi (`ridge_correlation.GridMap`).

    Attributes:
        point_map: px of file A → px of file B.
        a, b: the files.
        parameters: settings.
    """

    point_map: PointMap
    a: PreparedFile
    b: PreparedFile
    parameters: MapMeasureParameters = DEFAULT

    def positions(self, x: Array, y: Array) -> Array:
        """Map the points of A at columns x [W] and rows y [H] to B: [H, W, 2]; NaN where none."""
        points = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
        points = apply_affine(self.a.prepared.to_original, points)
        step = self.parameters.points_at_once
        mapped = [self.point_map(points[k : k + step]) for k in range(0, len(points), step)]
        in_b = apply_affine(invert_affine(self.b.prepared.to_original), np.concatenate(mapped))
        in_b[~np.isfinite(in_b).all(axis=1)] = np.nan
        return in_b.reshape(len(y), len(x), 2)

    def on_grid(self, x: Array, y: Array) -> Array:
        """Map like `positions`; to a point outside of B where nothing corresponds."""
        height, width = self.b.prepared.image.shape
        positions, outside = self.positions(x, y), self.parameters.outside
        inside = np.all((positions > -1) & (positions < [width, height]), axis=-1, keepdims=True)
        return np.where(inside, positions, outside)


def correlation(grid_map: FileGridMap) -> float:
    """Return the ridge correlation of A with B brought onto it, in [0, 1]; 0 without a map."""
    a, b = grid_map.a.network, grid_map.b.network
    return ridge_correlation(grid_map, a.ridge_image, b.ridge_image)


def mapped_share(grid_map: FileGridMap) -> float:
    """Return the share of A's foreground that is mapped onto B's foreground."""
    _, on_a, on_b = _nodes(grid_map)
    return float(on_b.sum() / max(1, on_a.sum()))


def bending(grid_map: FileGridMap) -> float | None:
    """Return the bending energy of a thin plate per cm² of the mapped finger.

    The integral of f_xx² + 2 f_xy² + f_yy² of both coordinates (Bookstein, "Principal warps:
    thin-plate splines and the decomposition of deformations", IEEE PAMI 11(6), 1989), divided by
    the area; 0 for an affine map.

    Returns:
        Energy in 1/cm²; None where no part of the finger is mapped.
    """
    positions, _, on_b = _nodes(grid_map)
    f = np.where(on_b[..., None], positions, np.nan)
    xx = f[1:-1, 2:] - 2 * f[1:-1, 1:-1] + f[1:-1, :-2]
    yy = f[2:, 1:-1] - 2 * f[1:-1, 1:-1] + f[:-2, 1:-1]
    xy = (f[2:, 2:] - f[2:, :-2] - f[:-2, 2:] + f[:-2, :-2]) / 4
    energy = (xx**2 + 2 * xy**2 + yy**2).sum(-1) / grid_map.parameters.node_spacing**4
    defined = energy[np.isfinite(energy)]
    return float(defined.mean()) * CM**2 if len(defined) else None


def _nodes(grid_map: FileGridMap) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return positions in B [H, W, 2] of nodes over A, and which nodes lie on A and on both."""
    step = grid_map.parameters.node_spacing
    height, width = grid_map.a.prepared.mask.shape
    x, y = np.arange(0.0, width, step), np.arange(0.0, height, step)
    positions = grid_map.positions(x, y)
    on_a = grid_map.a.prepared.mask[::step, ::step]
    return positions, on_a, on_a & cropping.on_finger(grid_map.b.prepared, positions)
