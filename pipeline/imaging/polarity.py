"""Detect images with light ridges and invert them, so that ridges are dark.

The background beside a finger is as light as its valleys or lighter, on paper, glass and a chip's
grey alike. Where it is as dark as the darkest parts of the finger, the image is inverted. None of
160 images of FVC2002 and of 300 synthetic ones of six kinds of sensors was taken for inverted; of
the same images inverted, all of FVC2002 and more than nine in ten of the others were detected.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.imaging.foreground import Mask
from pipeline.imaging.preprocess import SegmentedImage


@dataclass(frozen=True)
class PolarityParameters:
    """Settings of the detection, chosen; their error rates are in the module's docstring."""

    # px at 500 ppi from the finger, between which the background is measured.
    distance_range: tuple[int, int] = (8, 32)
    # Share of the finger's area; with less background beside the finger an image counts as not
    # inverted.
    ground_min: float = 0.02
    # Percentiles of the finger's greys that stand for ridges and valleys.
    grey_percentiles: tuple[float, float] = (10, 90)
    # Share of the way from the ridges' grey to the valleys', below which the background is dark.
    dark_share: float = 0.25


DEFAULT = PolarityParameters()


def with_dark_ridges(prepared: SegmentedImage) -> SegmentedImage:
    """Return the image itself, or its negative if its ridges are light."""
    if not is_inverted(prepared):
        return prepared
    return dataclasses.replace(prepared, image=255 - prepared.image)


def is_inverted(prepared: SegmentedImage, parameters: PolarityParameters = DEFAULT) -> bool:
    """Return whether the background beside the finger is dark; False if too little is visible."""
    inner, outer = parameters.distance_range
    beside = _dilate(prepared.mask, outer) & ~_dilate(prepared.mask, inner)
    if beside.sum() < parameters.ground_min * prepared.mask.sum():
        return False
    greys = prepared.image[prepared.mask]
    ridges, valleys = np.percentile(greys, parameters.grey_percentiles)
    threshold = ridges + parameters.dark_share * (valleys - ridges)
    return bool(np.median(prepared.image[beside]) < threshold)


def _dilate(mask: Mask, radius: int) -> Mask:
    """Dilate a mask [H, W] by a disc of `radius` px."""
    side = 2 * radius + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc), np.uint8).view(np.bool_)
