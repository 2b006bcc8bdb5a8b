"""Ridges are taken to be dark; an image the other way round is found out by its ground.

The ground beside a finger is as light as valleys or lighter, with paper, glass and a chip's grey
alike; where it is as dark as what is darkest of the finger, light and dark have changed places. Of
160 prints of FVC2002 and 300 synthetic ones by six kinds of sensors none was taken for inverted;
turned over, all of FVC2002 and more than nine in ten of the others were found out.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from pipeline.imaging.preprocess import Prepared

NEAR, FAR = 8, 32  # px at 500 ppi, between which beside the finger the ground is looked at
LEAST_GROUND = 0.02  # of the finger's area; a print that fills the frame shows none
DARK = 0.25  # of the way from the finger's darkest tenth to its lightest


def with_dark_ridges(prepared: Prepared) -> Prepared:
    """The print as it is, or with light and dark changed where its ridges are light."""
    if not is_inverted(prepared):
        return prepared
    return dataclasses.replace(prepared, image=255 - prepared.image)


def is_inverted(prepared: Prepared) -> bool:
    """Whether the ground beside the finger is dark; False where too little of it is seen."""
    mask = prepared.mask.astype(np.uint8)
    beside = _grown(mask, FAR) > _grown(mask, NEAR)
    if beside.sum() < LEAST_GROUND * mask.sum():
        return False
    low, high = np.percentile(prepared.image[prepared.mask], [10, 90])
    return bool(np.median(prepared.image[beside]) < low + DARK * (high - low))


def _grown(mask: np.ndarray, reach: int) -> np.ndarray:
    side = 2 * reach + 1
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
