"""Where ridges end and fork in a print, well enough to compare sets: no extractor for matching.

Contextual Gabor filtering (Hong, Wan and Jain 1998), thinning (Zhang and Suen 1984) and crossing
numbers (Rutovitz 1966); what is near the finger's edge or to another minutia is dropped as a break.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.foreground import Image, Mask

DIRECTIONS = 16  # of the filters
DEVIATION = 4.0  # px, of their bells
SMOOTH = 8.0  # px, over which orientation is averaged
MARGIN = 20  # px from the edge of the finger within which nothing is believed
APART = 7.0  # px; minutiae nearer to one another are a break, a bridge or a spur

_AROUND = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))  # from above, clockwise
_CODES = np.arange(256)
_BITS = _CODES[:, None] >> np.arange(8) & 1  # [256, 8] neighbours of every code
_KERNEL = np.zeros((3, 3), np.float32)
for _bit, _place in enumerate(_AROUND):
    _KERNEL[_place] = 1 << _bit
_TURNS = (np.diff(_BITS, axis=1, append=_BITS[:, :1]) != 0).sum(1)  # twice the crossing number


def minutiae(
    image: Image, mask: Mask, period: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Mask]:
    """Endings and bifurcations (x, y) int64 [N, 2] each, and the part [H, W] that was searched.

    `period` px is the print's, from ridge to ridge.
    """
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MARGIN + 1, 2 * MARGIN + 1))
    searched = cv2.erode(np.pad(mask, 1).astype(np.uint8), kernel)[1:-1, 1:-1] > 0
    skeleton = thin(enhance(image, period) < 0)
    code = _code(skeleton.astype(np.uint8))
    turns = np.where(skeleton & searched, _TURNS[code], 0)
    endings, forks = _middles(turns == 2), _middles(turns >= 6)
    found = np.concatenate([endings, forks])
    away = np.hypot(*(found[:, None] - found[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(found))
    kept = away.min(1, initial=1e9) > APART
    return endings[kept[: len(endings)]], forks[kept[len(endings) :]], searched


def enhance(image: Image, period: float) -> NDArray[np.float32]:
    """Response float32 [H, W] of the Gabor filter along each px's own orientation; ridges < 0."""
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32)
    x, y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    xx, yy, xy = (cv2.GaussianBlur(a, (0, 0), SMOOTH) for a in (x * x, y * y, x * y))
    across = np.arctan2(2 * xy, xx - yy) / 2  # rad, y down
    nearest = np.rint(across * DIRECTIONS / np.pi).astype(int) % DIRECTIONS
    grey = image.astype(np.float32)
    made = np.zeros_like(grey)
    for k in range(DIRECTIONS):
        here = nearest == k
        made[here] = cv2.filter2D(grey, cv2.CV_32F, _gabor(k * np.pi / DIRECTIONS, period))[here]
    return made


def thin(ridges: Mask) -> Mask:
    """One-pixel skeleton bool [H, W] of bool [H, W]."""
    left = ridges.astype(np.uint8)
    while True:
        before = left.sum()
        for gone in _GONE:
            left &= ~gone[_code(left)]
        if left.sum() == before:
            return left > 0


def _gone() -> list[NDArray[np.uint8]]:
    """Which codes of neighbours let a px go in the first and in the second half of a round."""
    n, count = _BITS, _BITS.sum(1)
    once = (count >= 2) & (count <= 6) & (_TURNS == 2)
    first = once & (n[:, 0] * n[:, 2] * n[:, 4] == 0) & (n[:, 2] * n[:, 4] * n[:, 6] == 0)
    second = once & (n[:, 0] * n[:, 2] * n[:, 6] == 0) & (n[:, 0] * n[:, 4] * n[:, 6] == 0)
    return [first.astype(np.uint8), second.astype(np.uint8)]


_GONE = _gone()


def _code(px: Image) -> Image:
    """The eight neighbours of every px as the bits of a byte; beyond the frame all are 0."""
    return np.asarray(cv2.filter2D(px, cv2.CV_8U, _KERNEL, borderType=cv2.BORDER_CONSTANT))


def _gabor(across: float, period: float) -> NDArray[np.float32]:
    reach = int(3 * DEVIATION)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    bell = np.exp(-(x * x + y * y) / (2 * DEVIATION**2))
    wave = np.cos(2 * np.pi * (x * np.cos(across) + y * np.sin(across)) / period)
    return np.asarray(bell * (wave - (bell * wave).sum() / bell.sum()), np.float32)


def _middles(px: Mask) -> NDArray[np.int64]:
    """Centres (x, y) of the connected pieces, int64 [N, 2]: a fork may have several px."""
    _, _, _, centres = cv2.connectedComponentsWithStats(px.astype(np.uint8))
    return np.rint(centres[1:]).astype(np.int64).reshape(-1, 2)
