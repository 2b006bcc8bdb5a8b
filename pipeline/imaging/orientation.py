"""Orientation tags (Exif 2.3, section 4.6.4, Orientation): from the image as stored to upright.

One rule for PNG, TIFF and JPEG: an image is processed upright, as its tag says that it is to be
shown, since a tag may undo a mirror image. All positions that the project returns or stores are px
of the image as stored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import Array

AS_STORED = 1

# Orientation → (whether rows and columns are exchanged, whether then x, whether then y is reversed)
_STEPS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def upright(stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an array [H, W, ...] as stored upright."""
    exchanged, x_reversed, y_reversed = _STEPS[orientation]
    turned = stored.swapaxes(0, 1) if exchanged else stored
    turned = turned[:, ::-1] if x_reversed else turned
    return np.ascontiguousarray(turned[::-1] if y_reversed else turned)


def as_stored(turned: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo `upright`: turn an upright array [H, W, ...] into the way it is stored."""
    exchanged, x_reversed, y_reversed = _STEPS[orientation]
    stored = turned[::-1] if y_reversed else turned
    stored = stored[:, ::-1] if x_reversed else stored
    return np.ascontiguousarray(stored.swapaxes(0, 1) if exchanged else stored)


def to_stored(orientation: int, shape: tuple[int, int]) -> Array:
    """Return the affine map from px (x, y) of the upright image to px as stored.

    Args:
        orientation: 1 to 8.
        shape: (height, width) as stored.

    Returns:
        float64 [2, 3].
    """
    exchanged, x_reversed, y_reversed = _STEPS[orientation]
    width, height = shape if exchanged else shape[::-1]  # upright
    matrix = np.array(
        [
            [-1.0 if x_reversed else 1.0, 0.0, width - 1.0 if x_reversed else 0.0],
            [0.0, -1.0 if y_reversed else 1.0, height - 1.0 if y_reversed else 0.0],
        ]
    )
    return matrix[::-1] if exchanged else matrix
