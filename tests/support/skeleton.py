"""Skeletons of ridge patterns and their minutiae, for tests of synthetic masters."""

import cv2
import numpy as np


def minutiae(ridges, region):
    """Count the endings and the bifurcations of `ridges` inside `region`, both bool [H, W].

    By the crossing number of the skeleton (Rutovitz 1966); nearby points count once.
    """
    skeleton = thin(ridges)
    neighbours = _neighbours(np.pad(skeleton, 1).astype(np.int8))
    crossings = sum(abs(neighbours[i] - neighbours[i - 1]) for i in range(8)) // 2
    return [_clusters(skeleton & region & test) for test in (crossings == 1, crossings >= 3)]


def thin(image):
    """One-pixel skeleton bool [H, W] of bool [H, W] (Zhang and Suen 1984)."""
    padded = np.pad(image, 1).astype(np.int8)
    inner, changed = padded[1:-1, 1:-1], True
    while changed:
        changed = False
        for k in (0, 2):
            n = _neighbours(padded)
            count, turns = sum(n), sum((n[i - 1] == 0) & (n[i] == 1) for i in range(8))
            removable = (inner == 1) & (count >= 2) & (count <= 6) & (turns == 1)
            removable &= (n[0] * n[2] * n[6 - 2 * (k == 0)] == 0) & (n[4] * n[6] * n[2 - k] == 0)
            changed |= bool(removable.any())
            inner[removable] = 0
    return inner.astype(bool)


def _neighbours(padded):
    """The eight neighbours of every pixel, clockwise from the one above."""
    h, w = padded.shape
    steps = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
    return [padded[y : h - 2 + y, x : w - 2 + x] for y, x in steps]


def _clusters(points):
    """Number of groups of points within 5 px of each other."""
    return cv2.connectedComponents(cv2.dilate(points.astype(np.uint8), np.ones((5, 5))))[0] - 1
