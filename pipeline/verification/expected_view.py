"""What image B and the map of a pair must look like, from its address and the crops of its images.

Image A of a record is the crop of its image without degradation and warp, so that a shard contains
the crop of each of its images. The degradation and the warp of image B follow from the address of
the pair. Image B can therefore be computed from that crop, apart from what lies beyond its edge
and from the detail that the crop has lost; and the map of one image to itself exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from pipeline import degradation
from pipeline.imaging.file import Image
from pipeline.imaging.foreground import Mask
from pipeline.imaging.resample import view
from pipeline.imaging.warp import Array, Warp
from pipeline.pair import GEOMETRY, NOISE, Address
from pipeline.pair_geometry import DEFAULT as GEOMETRY_PARAMETERS
from pipeline.pair_geometry import cell_centres, crop_position, map_through, sample_warp
from pipeline.spec import PipelineSpec
from shards.verify.check_correspondence import extract_ridges


@dataclass(frozen=True)
class ViewParameters:
    """Thresholds of the comparison of image B with its computed view."""

    # Correlations of the ridges, in [-1, 1]: of the whole image, and of each quadrant. Measured
    # (docs/LOG.md, 2026-11-29, "Lies in a set with correct checksums").
    floor: float = 0.6
    floor_quadrant: float = 0.3
    least_area: float = 0.25  # share of a quadrant that is compared; chosen
    least_contrast: float = 0.3  # deviation of the ridges of a quadrant that is compared; chosen


DEFAULT = ViewParameters()


class Resemblance(NamedTuple):
    """Correlations of the ridges of image B with those of its computed view, in [-1, 1]."""

    whole: float
    quadrants: tuple[float, ...]  # those with ridges within the crop, in no order


def warp_of(address: Address, partition: str, spec: PipelineSpec) -> Warp:
    """Return the warp of image B of a pair: px of B → px of its crop without the warp."""
    return sample_warp(address.rng(spec.seed, partition, GEOMETRY), spec)


def map_of_one_image(warp: Warp, spec: PipelineSpec) -> tuple[Array, Mask]:
    """Return the map of an image to itself at all cells [G, G, 2], and whether it is inside B."""
    return map_through(warp, cell_centres(spec), spec)


def resemblance(
    image_b: Image,
    crop: Image,
    address: Address,
    partition: str,
    warp: Warp,
    spec: PipelineSpec,
    parameters: ViewParameters = DEFAULT,
) -> Resemblance:
    """Correlate image B with what its address makes of the crop of its image.

    Args:
        image_b: uint8 [size, size].
        crop: uint8 [size, size], the crop of the same image without degradation and warp.
        address: of the pair.
        partition: of the pair.
        warp: of image B, as of `warp_of`.
        spec: settings of the set.
        parameters: which quadrants are compared.
    """
    size, matrix = spec.size, crop_position(spec, GEOMETRY_PARAMETERS).matrix
    window = _enlarge(crop, spec)
    sampled = degradation.sample(address.noise, address.rng(spec.seed, partition, NOISE))
    view_b = view(window.shape, matrix, size, warp)
    degraded = degradation.apply(window, sampled, view_b.part)
    x, y = warp.planes(size, size)
    inside = (x >= 0) & (x <= size - 1) & (y >= 0) & (y <= size - 1)
    expected = extract_ridges(view_b.render(degraded)) * inside
    actual = extract_ridges(image_b) * inside
    half = size // 2
    quadrants = [
        (slice(top, top + half), slice(left, left + half))
        for top in (0, half)
        for left in (0, half)
    ]
    compared = [
        part
        for part in quadrants
        if inside[part].mean() >= parameters.least_area
        and expected[part].std() >= parameters.least_contrast
    ]
    correlations = (_correlate(expected[part], actual[part]) for part in compared)
    return Resemblance(_correlate(expected, actual), tuple(correlations))


def _enlarge(crop: Image, spec: PipelineSpec) -> Image:
    """Return the window at 500 ppi around a crop, which repeats the crop's edge around it."""
    margin = crop_position(spec, GEOMETRY_PARAMETERS).radius - spec.crop // 2
    enlarged = cv2.resize(crop, (spec.crop, spec.crop), interpolation=cv2.INTER_CUBIC)
    margins = (margin, margin, margin, margin)
    return np.asarray(cv2.copyMakeBorder(enlarged, *margins, cv2.BORDER_REPLICATE), np.uint8)


def _correlate(a: np.ndarray, b: np.ndarray) -> float:
    energy = float((a * a).sum()) * float((b * b).sum())
    return float((a * b).sum()) / energy**0.5 if energy else 0.0
