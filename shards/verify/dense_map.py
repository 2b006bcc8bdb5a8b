"""The map of a pair at every pixel, and the resampling of an image by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.record import Pair

Float = NDArray[np.float32]


@dataclass(frozen=True)
class DenseMapParameters:
    """Limit of visible pixels."""

    visibility: float = 0.999  # interpolated from cells; 1 apart from rounding: all of them visible


DEFAULT = DenseMapParameters()


def upsample_map(
    pair: Pair, height: int, width: int, parameters: DenseMapParameters = DEFAULT
) -> tuple[Float, NDArray[np.bool_]]:
    """Interpolate a pair's map from the centres of cells to pixels.

    Args:
        pair: a genuine pair.
        height: number of rows that image A is divided into.
        width: number of columns that image A is divided into.
        parameters: limit of visible pixels.

    Returns:
        Positions (x, y) in px of B, [height, width, 2]; and a mask [height, width] of the pixels
        whose surrounding cells are all visible, the only ones whose positions are valid.
    """
    visible_map = np.where(pair.visible[..., None], pair.map_ab, np.float32(0))
    positions = as_float(cv2.resize(visible_map, (width, height)))
    weights = as_float(cv2.resize(pair.visible.astype(np.float32), (width, height)))
    return positions, weights > parameters.visibility


def resample(image: Float, positions: Float) -> Float:
    """Interpolate an image [H, W] at positions (x, y) [h, w, 2] in px; 0 outside of the image."""
    x, y = cv2.split(positions)
    return as_float(cv2.remap(image, x, y, cv2.INTER_LINEAR))


def as_float(image: Any) -> Float:
    """Return a result of OpenCV as a float32 array, for type checkers."""
    return np.asarray(image, np.float32)
