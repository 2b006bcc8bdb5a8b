"""Geometry of pairs: position of the crop in its window, the warp of image B, points through it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import cropping
from pipeline.imaging.foreground import Mask
from pipeline.imaging.resample import View, view
from pipeline.imaging.warp import (
    IDENTITY,
    Array,
    Warp,
    apply_affine,
    compose_affine,
    invert_affine,
    pixel_grid,
    random_control,
    rotation,
)
from pipeline.spec import PipelineSpec

Index = NDArray[np.intp]


@dataclass(frozen=True)
class PairParameters:
    """Geometry of pairs that the spec leaves fixed."""

    elastic_spacing: float = 72.0  # px at 500 ppi between control points; chosen: 3.7 mm of skin
    elastic_strain: float = 0.3  # largest strain of the elastic warp; chosen: skin strains less
    stretch_limit: float = 2.5  # standard deviations at which the stretch is cut off; chosen
    map_steps: int = 1024  # per px of the map; coarser than rounding differences between machines


DEFAULT = PairParameters()


class CropPosition(NamedTuple):
    """Position of the crop in the window; the same for all impressions of a spec.

    Attributes:
        radius: half the side of the window, px at 500 ppi.
        matrix: float64 [2, 3], px of the crop → px of the window.
        view: sampling of the crop without warp.
        cell_pixels: row and column in the window of the px at each cell's centre, both [G, G].
    """

    radius: int
    matrix: Array
    view: View
    cell_pixels: tuple[Index, Index]


@functools.lru_cache(maxsize=4)
def crop_position(spec: PipelineSpec, parameters: PairParameters) -> CropPosition:
    """Compute the position of a spec's crops; callers must not change the arrays.

    Args:
        spec: sizes, and largest shift, elastic deformation and stretch.
        parameters: limit of the stretch.
    """
    travel = math.sqrt(2) * spec.translation + 4 * spec.elastic
    largest_stretch = math.expm1(parameters.stretch_limit * spec.stretch)
    travel += largest_stretch * spec.crop / math.sqrt(2)
    radius = cropping.window_radius(spec.crop, travel)
    matrix = cropping.crop_matrix(cropping.window_centre(radius), spec.crop, spec.size)
    crop_view = view((2 * radius, 2 * radius), matrix, spec.size, Warp(IDENTITY))
    nearest = np.floor(apply_affine(matrix, cell_centres(spec)) + 0.5).astype(np.intp)
    return CropPosition(radius, matrix, crop_view, (nearest[..., 1], nearest[..., 0]))


@functools.lru_cache(maxsize=4)
def cell_centres(spec: PipelineSpec) -> Array:
    """Return cell centres (x, y) [G, G, 2], px of a crop; callers must not change the array."""
    return pixel_grid(spec.grid, spec.grid, spec.size // spec.grid)


def sample_warp(
    rng: np.random.Generator, spec: PipelineSpec, parameters: PairParameters = DEFAULT
) -> Warp:
    """Sample the warp of image B: px of B → px of its crop without the warp, both `spec.size` px.

    Args:
        rng: generator of stage GEOMETRY of the pair's address.
        spec: ranges of rotation, shift, stretch and elastic deformation.
        parameters: spacing and limits.
    """
    scale = spec.crop / spec.size
    middle = (spec.size - 1) / 2
    angle = rng.uniform(*spec.rotation_range)
    x, y = rng.uniform(-1, 1, 2) * spec.translation / scale
    # The image rotates by `angle` when its sampling positions rotate by -angle.
    matrix = invert_affine(rotation(float(angle), (middle, middle), (float(x), float(y))))
    if spec.stretch:
        limit = parameters.stretch_limit
        matrix = compose_affine(matrix, _sample_stretch(rng, spec.stretch, limit, middle))
    if not spec.elastic:
        return Warp(matrix)
    spacing = parameters.elastic_spacing / scale
    size = (spec.size, spec.size)
    control, origin = random_control(
        rng, size, spacing, spec.elastic / scale, parameters.elastic_strain
    )
    return Warp(matrix, control, spacing, origin)


def map_through(
    warp: Warp, points: Array, spec: PipelineSpec, parameters: PairParameters = DEFAULT
) -> tuple[Array, Mask]:
    """Map points (x, y) [..., 2] of the crop of B to image B.

    Args:
        warp: of image B.
        points: positions in the crop.
        spec: size of image B.
        parameters: steps to which positions are rounded.

    Returns:
        Positions (x, y) px in B, and whether they are in the image.
    """
    steps = parameters.map_steps
    positions = np.rint(warp.inverse(points, 0.1 / steps) * steps) / steps
    inside = (positions >= -0.5) & (positions < spec.size - 0.5)
    return positions, np.asarray(inside[..., 0] & inside[..., 1])


def _sample_stretch(
    rng: np.random.Generator, deviation: float, limit: float, middle: float
) -> Array:
    """Sample a stretch [2, 3] about the middle, along a random axis.

    The logarithms of the scales along and across the axis are mean ± difference: two normal numbers
    of standard deviation `deviation` / 2, clipped at `limit` deviations. Measured between real
    impressions of one finger (FVC2002 DB1_B): the scales differ by 0.05 at the median and by 0.15
    in one pair of twenty (docs/LOG.md, 2026-11-23, "Stretch, and second looks").
    """
    axis = rng.uniform(0, math.pi)
    difference, mean = np.clip(rng.normal(0, 1, 2), -limit, limit) * deviation / 2
    turn = np.array([[math.cos(axis), -math.sin(axis)], [math.sin(axis), math.cos(axis)]])
    scales = np.exp([mean + difference, mean - difference])
    linear = turn @ np.diag(scales) @ turn.T
    return np.c_[linear, middle - linear @ (middle, middle)]
