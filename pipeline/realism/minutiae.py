"""Detect minutiae well enough to compare sets of impressions; not for matching.

Contextual Gabor filters (Hong, Wan and Jain, IEEE PAMI 20(8), 1998), thinning (Zhang and Suen,
CACM 27(3), 1984) and crossing numbers (Rutovitz 1966). Minutiae near the edge of the foreground or
near each other are taken for breaks of a ridge and left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.file import Image
from pipeline.imaging.foreground import Mask

# The eight neighbours of a px as (row, column) of a 3 × 3 kernel, clockwise from the one above.
NEIGHBOURS = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
# The neighbours that are set, for each code of eight bits: int [256, 8].
BITS = np.arange(256)[:, None] >> np.arange(8) & 1
# Number of changes around the px for each code: twice the crossing number.
CHANGES = (np.diff(BITS, axis=1, append=BITS[:, :1]) != 0).sum(1)


@dataclass(frozen=True)
class MinutiaParameters:
    """Settings of the detection, chosen; lengths are px at 500 ppi."""

    directions: int = 16  # of the Gabor filters
    deviation: float = 4.0  # px, of the Gabor filters' Gaussian (Hong et al. use 4.0)
    orientation_deviation: float = 8.0  # px, of the Gaussian average of the orientation
    edge_margin: int = 20  # px from the edge of the foreground without minutiae
    distance_min: float = 7.0  # px between minutiae; nearer ones are a break, a bridge or a spur


DEFAULT = MinutiaParameters()


class Minutiae(NamedTuple):
    """The minutiae of an impression.

    Attributes:
        endings: (x, y) px, int64 [N, 2].
        bifurcations: (x, y) px, int64 [M, 2].
        searched: bool [H, W], the part of the image that was searched.
    """

    endings: NDArray[np.int64]
    bifurcations: NDArray[np.int64]
    searched: Mask


def detect_minutiae(
    image: Image, mask: Mask, period: float, parameters: MinutiaParameters = DEFAULT
) -> Minutiae:
    """Detect the ridge endings and bifurcations of an impression.

    Args:
        image: uint8 [H, W] at 500 ppi.
        mask: bool [H, W], the foreground.
        period: px between ridges, the median of the impression.
        parameters: settings of the detection.
    """
    side = 2 * parameters.edge_margin + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    searched = cv2.erode(np.pad(mask, 1).astype(np.uint8), disc)[1:-1, 1:-1] > 0
    skeleton = thin(enhance(image, period, parameters) < 0)
    codes = _neighbour_codes(skeleton.astype(np.uint8))
    changes = np.where(skeleton & searched, CHANGES[codes], 0)
    endings, bifurcations = _component_centres(changes == 2), _component_centres(changes >= 6)
    isolated = _are_isolated(np.concatenate([endings, bifurcations]), parameters.distance_min)
    count = len(endings)
    return Minutiae(endings[isolated[:count]], bifurcations[isolated[count:]], searched)


def _are_isolated(points: NDArray[np.int64], distance_min: float) -> Mask:
    """Return for points [N, 2] whether the nearest other one is farther than distance_min px."""
    distances = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    distances = distances + 1e9 * np.eye(len(points))
    return np.asarray(distances.min(1, initial=1e9) > distance_min)


def enhance(
    image: Image, period: float, parameters: MinutiaParameters = DEFAULT
) -> NDArray[np.float32]:
    """Filter each px with the Gabor filter of the local orientation.

    Args:
        image: uint8 [H, W].
        period: px between ridges.
        parameters: the filters.

    Returns:
        float32 [H, W], negative on ridges.
    """
    across = _gradient_angles(image, parameters.orientation_deviation)
    directions = parameters.directions
    nearest = np.rint(across * directions / np.pi).astype(int) % directions
    grey = image.astype(np.float32)
    response = np.zeros_like(grey)
    for k in range(directions):
        kernel = _gabor_kernel(k * np.pi / directions, period, parameters.deviation)
        pixels = nearest == k
        response[pixels] = cv2.filter2D(grey, cv2.CV_32F, kernel)[pixels]
    return response


def _gradient_angles(image: Image, deviation: float) -> NDArray[np.float32]:
    """Return the angle across the ridges, radians with y down, in (-π/2, π/2], [H, W]."""
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32)
    x, y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    xx = cv2.GaussianBlur(x * x, (0, 0), deviation)
    yy = cv2.GaussianBlur(y * y, (0, 0), deviation)
    xy = cv2.GaussianBlur(x * y, (0, 0), deviation)
    return np.asarray(np.arctan2(2 * xy, xx - yy) / 2)


def _gabor_kernel(across: float, period: float, deviation: float) -> NDArray[np.float32]:
    """Return a Gabor kernel without a mean; `across` is the angle of the wave, radians, y down."""
    reach = int(3 * deviation)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    gaussian = np.exp(-(x * x + y * y) / (2 * deviation**2))
    wave = np.cos(2 * np.pi * (x * np.cos(across) + y * np.sin(across)) / period)
    return np.asarray(gaussian * (wave - (gaussian * wave).sum() / gaussian.sum()), np.float32)


def thin(ridges: Mask) -> Mask:
    """Return the skeleton, lines of one px, of ridges bool [H, W] (Zhang and Suen 1984)."""
    skeleton = ridges.astype(np.uint8)
    halves = _removable_codes()
    while True:
        count = skeleton.sum()
        for removable in halves:
            skeleton &= ~removable[_neighbour_codes(skeleton)]
        if skeleton.sum() == count:
            return skeleton > 0


def _removable_codes() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return for each code of neighbours whether either half of an iteration removes the px."""
    n, count = BITS, BITS.sum(1)
    outline = (count >= 2) & (count <= 6) & (CHANGES == 2)
    first = outline & (n[:, 0] * n[:, 2] * n[:, 4] == 0) & (n[:, 2] * n[:, 4] * n[:, 6] == 0)
    second = outline & (n[:, 0] * n[:, 2] * n[:, 6] == 0) & (n[:, 0] * n[:, 4] * n[:, 6] == 0)
    return first.astype(np.uint8), second.astype(np.uint8)


def _neighbour_codes(image: Image) -> Image:
    """Return the eight neighbours of each px of a 0/1 image as the bits of a byte; 0 outside."""
    kernel = np.zeros((3, 3), np.float32)
    for bit, place in enumerate(NEIGHBOURS):
        kernel[place] = 1 << bit
    return np.asarray(cv2.filter2D(image, cv2.CV_8U, kernel, borderType=cv2.BORDER_CONSTANT))


def _component_centres(mask: Mask) -> NDArray[np.int64]:
    """Return the centres (x, y) of the connected components, int64 [N, 2]."""
    _, _, _, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return np.rint(centres[1:]).astype(np.int64).reshape(-1, 2)
