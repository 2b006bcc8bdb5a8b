"""Segment the crop of an image: where the finger surely is, and whether its ridges are dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.imaging.file import Image
from pipeline.imaging.foreground import Mask, foreground
from pipeline.imaging.polarity import Polarity, polarity
from pipeline.imaging.preprocess import SegmentedImage
from pipeline.imaging.warp import IDENTITY
from pipeline.spec import PipelineSpec
from shards.foundation.errors import Fault
from shards.verify.check_correspondence import DEFAULT as CORRESPONDENCE


@dataclass(frozen=True)
class SegmentationParameters:
    """Settings of the segmentation of crops."""

    # Cells along the edge of the finger that are not sure: the crop has lost what surrounds it.
    # Chosen.
    edge_cells: int = 2


DEFAULT = SegmentationParameters()


class SegmentedCrop(NamedTuple):
    """What can be seen in a crop without its records."""

    polarity: Polarity  # by the background beside the finger, where enough of it is visible
    on_finger: Mask  # bool [G, G], cells that are surely on the finger


def shows_ridges(spec: PipelineSpec) -> bool:
    """Return whether the crops of a spec are fine enough to show ridges."""
    period = CORRESPONDENCE.ridge_period * spec.size / spec.crop
    return period >= CORRESPONDENCE.least_period


def segment_crop(
    crop: Image, spec: PipelineSpec, parameters: SegmentationParameters = DEFAULT
) -> SegmentedCrop:
    """Segment a crop as a build segments its image.

    Args:
        crop: uint8 [size, size].
        spec: size of the crop in the image.
        parameters: of the cells that are surely on the finger.
    """
    nowhere = np.zeros((spec.grid, spec.grid), np.bool_)
    side, grid = (spec.crop, spec.crop), (spec.grid, spec.grid)
    image = np.asarray(cv2.resize(crop, side, interpolation=cv2.INTER_CUBIC), np.uint8)
    try:
        mask = foreground(image)
    except Fault:
        return SegmentedCrop(Polarity.UNDECIDED, nowhere)
    segmented = SegmentedImage(image, mask, IDENTITY, (0.0, 0.0))
    ridges = polarity(segmented)
    if not shows_ridges(spec):
        return SegmentedCrop(ridges, nowhere)
    white = np.uint8(255)
    shares = cv2.resize(mask.view(np.uint8) * white, grid, interpolation=cv2.INTER_AREA)
    return SegmentedCrop(ridges, erode(np.asarray(shares) == white, parameters.edge_cells))


def erode(mask: Mask, cells: int) -> Mask:
    """Erode a mask [G, G] by some cells; cells beyond the grid count as outside."""
    kernel = np.ones((2 * cells + 1, 2 * cells + 1), np.uint8)
    padded = cv2.copyMakeBorder(
        mask.view(np.uint8), cells, cells, cells, cells, cv2.BORDER_CONSTANT
    )
    inner = slice(cells, -cells)
    return np.asarray(cv2.erode(padded, kernel), np.uint8)[inner, inner].view(np.bool_)
