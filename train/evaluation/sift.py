"""What the network is compared with: SIFT matches and a RANSAC similarity, both OpenCV's.

SIFT (Lowe, IJCV 2004) with cross-checked nearest neighbours, then estimateAffinePartial2D.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FEATURES = 2000
RADIUS = 6.0  # px at 500 ppi, RANSAC's threshold
FEWEST = 3  # matches that a similarity needs to be tested by one

Features = tuple[NDArray[np.float32], NDArray[np.float32]]  # keypoints [K, 2], descriptors [K, 128]


@dataclass(frozen=True, eq=False)
class Similarity:
    """A similarity between two crops and what supports it, px of the crops."""

    matrix: NDArray[np.float64]  # [2, 3], A → B
    inliers: NDArray[np.float64]  # [K, 4], x_a, y_a, x_b, y_b


def align(
    image_a: NDArray[np.uint8], image_b: NDArray[np.uint8], scale: float
) -> Similarity | None:
    """The similarity of two crops uint8 [H, W]; None where none is found.

    The crops are first enlarged by `scale` to 500 ppi, which measured better for SIFT than their
    own px. Deterministic: OpenCV's RANSAC starts from a fixed seed.
    """
    return match(describe(image_a, scale), describe(image_b, scale), RADIUS / scale)


def match(features_a: Features, features_b: Features, radius: float = RADIUS) -> Similarity | None:
    """The similarity that most cross-checked matches support to `radius` px; None without any."""
    (points_a, a), (points_b, b) = features_a, features_b
    if min(len(points_a), len(points_b)) < FEWEST:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(a, b)
    if len(pairs) < FEWEST:
        return None
    p = points_a[[pair.queryIdx for pair in pairs]]
    q = points_b[[pair.trainIdx for pair in pairs]]
    matrix, inside = cv2.estimateAffinePartial2D(
        p, q, method=cv2.RANSAC, ransacReprojThreshold=radius, maxIters=5000
    )
    if matrix is None or not np.isfinite(matrix).all():
        return None
    return Similarity(np.asarray(matrix), np.c_[p, q][inside.ravel() > 0].astype(np.float64))


def describe(image: NDArray[np.uint8], scale: float = 1.0) -> Features:
    """Keypoints in px of the image uint8 [H, W] as given, and their descriptors."""
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    larger = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    keypoints, descriptors = cv2.SIFT.create(FEATURES).detectAndCompute(larger, None)
    points = np.array([k.pt for k in keypoints], np.float32).reshape(-1, 2)
    points = (points + 0.5) * (np.array(image.shape[::-1]) / size).astype(np.float32) - 0.5
    if descriptors is None:
        descriptors = np.zeros((0, 128), np.float32)
    return points, np.asarray(descriptors, np.float32)
