"""Coordinate frame of master fingerprints: size, resolution and the plane about the middle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ComplexImage = NDArray[np.complex64]

PPI = 500  # resolution of masters, of touches and of their warps: the working resolution
MASTER_SIZE = (560, 416)  # (height, width) px of every master: 28 × 21 mm, more than a fingertip
MASTER_MIDDLE = ((MASTER_SIZE[1] - 1) / 2, (MASTER_SIZE[0] - 1) / 2)  # (x, y) px


def centred_plane(size: tuple[int, int]) -> ComplexImage:
    """Positions x + iy px, complex64 [H, W], relative to the middle of the image, y upwards.

    Args:
        size: (height, width) px.
    """
    y, x = np.ogrid[: size[0], : size[1]]
    return ((x - (size[1] - 1) / 2) - 1j * (y - (size[0] - 1) / 2)).astype(np.complex64)
