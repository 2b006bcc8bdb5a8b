"""Count the minutiae of synthetic ridge patterns by the crossing numbers of their skeletons."""

import cv2
import numpy as np

from pipeline.realism.minutiae import NEIGHBOURS, thin


def minutiae(ridges, region):
    """Return the numbers of endings and of bifurcations of ridges bool [H, W] within a region.

    Minutiae within 5 px of each other count as one.
    """
    skeleton = thin(ridges)
    padded = np.pad(skeleton, 1).astype(np.int8)
    height, width = skeleton.shape
    neighbours = [padded[y : y + height, x : x + width] for y, x in NEIGHBOURS]
    crossings = sum(abs(neighbours[i] - neighbours[i - 1]) for i in range(8)) // 2
    return [count_clusters(skeleton & region & kind) for kind in (crossings == 1, crossings >= 3)]


def count_clusters(points):
    """Return the number of clusters of true px in bool [H, W]."""
    return cv2.connectedComponents(cv2.dilate(points.astype(np.uint8), np.ones((5, 5))))[0] - 1
