"""A skeleton and its minutiae, to count what the grown ridge patterns hold."""

import cv2
import numpy as np


def minutiae(ridges, region):
    """How many endings and bifurcations (crossing number) bool `ridges` [H, W] has in `region`."""
    skeleton = thin(ridges)
    around = _around(np.pad(skeleton, 1).astype(np.int8))
    crossings = sum(abs(around[i] - around[i - 1]) for i in range(8)) // 2
    return [_clusters(skeleton & region & test) for test in (crossings == 1, crossings >= 3)]


def thin(image):
    """One-pixel skeleton bool [H, W] of bool [H, W] (Zhang and Suen 1984)."""
    padded = np.pad(image, 1).astype(np.int8)
    inner, removed = padded[1:-1, 1:-1], True
    while removed:
        removed = False
        for k in (0, 2):
            n = _around(padded)
            count, turns = sum(n), sum((n[i - 1] == 0) & (n[i] == 1) for i in range(8))
            gone = (inner == 1) & (count >= 2) & (count <= 6) & (turns == 1)
            gone &= (n[0] * n[2] * n[6 - 2 * (k == 0)] == 0) & (n[4] * n[6] * n[2 - k] == 0)
            removed |= bool(gone.any())
            inner[gone] = 0
    return inner.astype(bool)


def _around(padded):
    """The eight neighbours, clockwise from the one above."""
    h, w = padded.shape
    steps = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
    return [padded[y : h - 2 + y, x : w - 2 + x] for y, x in steps]


def _clusters(points):
    return cv2.connectedComponents(cv2.dilate(points.astype(np.uint8), np.ones((5, 5))))[0] - 1
