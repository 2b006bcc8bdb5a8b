"""Do two images agree with the map between them? Measured on the ridges, by normalised correlation.

B is resampled into the frame of A by the pair's own map, both are stripped of their background and
brought to one local contrast, and their correlation is taken at the map and at every shift of it of
up to REACH px. A right map has a high peak at no shift, a map a little off has it elsewhere, a
wrong map has none; then `search` tells a wrong map from images of different fingers.

A and B of a "genuine" pair are one image, once corrupted, so that what else is wrong with the image
is in both: on real prints its correlation never falls near FLOORS, and no outlier is allowed.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.record import Pair

REACH = 6  # px of A, the shifts that are tried: one and a half ridges at the published 4 px
STEP = math.radians(2.5)  # of the search, a third of a ridge at the edge of its patch
TURN = math.radians(65)  # of the search, either way

FLOORS = {"none": 0.5, "sensor": 0.2, "dryness": 0.35, "pressure": 0.35}  # lowest right score
IMPRESSIONS_FLOOR = 0.2  # of two impressions, which differ in more than the corruption
FAINT = 0.1  # of two that have little in common or are dry, if no shift makes them agree better
OFFSET = 0.25  # px, highest of one right map; real ones measure up to 0.04
FLAT = 0.1  # of two impressions, by which a shift must agree better, beside chance, than their map
PATCH = 4  # px², half a ridge period square: what one independent value of a correlation takes
SILENCE = "images do not agree"
FOUND = 0.35  # of the search: one finger gives 0.43 or more, two fingers up to 0.25

Float = NDArray[np.float32]


class Agreement(NamedTuple):
    """How far images agree with their map; correlations in [-1, 1]."""

    score: float  # at the map
    best: float  # at the best shift of it
    x: float  # px of A, that shift, to a fraction of a px
    y: float


def fault_of(pair: Pair, found: Agreement) -> str | None:
    """What the agreement of a genuine pair says against its map, or None."""
    impressions = pair.kind == "genuine-impressions"
    floor = IMPRESSIONS_FLOOR if impressions else FLOORS[pair.noise]
    flat = impressions and found.best - found.score < flatness(pair)
    if found.best >= floor and math.hypot(found.x, found.y) > OFFSET and not flat:
        return (
            f"map is off by ({found.x:.1f}, {found.y:.1f}) px: the images agree to"
            f" {found.best:.2f} there and to {found.score:.2f} at the map"
        )
    if found.score >= (FAINT if flat else floor):
        return None
    elsewhere = search(pair.image_a, pair.image_b)
    if elsewhere >= max(FOUND, found.score + 0.2):
        return (
            f"map is wrong: the images agree to {found.score:.2f} by it, to {elsewhere:.2f} turned"
        )
    return f"{SILENCE}: {found.score:.2f} by their map, expected {floor} or more"


def flatness(pair: Pair) -> float:
    """By how much a shift must agree better than the map of two impressions to speak against it.

    Smeared skin has its peak anywhere near, and so has a sliver in common, by chance: twice the
    deviation of a correlation of so many independent values.
    """
    seen = pair.image_a.size * float(pair.visible.mean())
    return FLAT + 2 * math.sqrt(PATCH / max(seen, PATCH))


def is_silent(pair: Pair, fault: str) -> bool:
    """Whether images of two impressions say nothing, neither for their map nor against it.

    A touch may be so dry, wet or smeared; but few are.
    """
    return pair.kind == "genuine-impressions" and fault.startswith(SILENCE)


def in_common(pair: Pair) -> NDArray[np.bool_]:
    """The px of A, bool [H, W], all about which is visible in B: none if no four cells meet."""
    height, width = pair.image_a.shape
    seen = cv2.resize(pair.visible.astype(np.float32), (width, height))
    return np.asarray(seen > 0.999, np.bool_)


def measure(pair: Pair) -> Agreement:
    """The agreement of a genuine pair; all 0 where nothing is in common."""
    height, width = pair.image_a.shape
    known = np.where(pair.visible[..., None], pair.map_ab, np.float32(0))
    at = _array(cv2.resize(known, (width, height)))
    seen = in_common(pair)
    a = ridges(pair.image_a) * seen
    b = resampled(ridges(pair.image_b), at) * seen
    energy = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    if energy == 0:
        return Agreement(0.0, 0.0, 0.0, 0.0)
    padded = cv2.copyMakeBorder(b, REACH, REACH, REACH, REACH, cv2.BORDER_CONSTANT, value=0)
    scores = _array(cv2.matchTemplate(padded, a, cv2.TM_CCORR)) / energy
    _, best, _, (column, row) = cv2.minMaxLoc(scores)
    x, y = _peak(scores[row], column), _peak(scores[:, column], row)
    return Agreement(float(scores[REACH, REACH]), best, x - REACH, y - REACH)


def search(image_a: NDArray[np.uint8], image_b: NDArray[np.uint8]) -> float:
    """The highest correlation of A's middle half anywhere in B, under any turn of up to TURN.

    A coarse search that knows nothing of the pair's map: high exactly where both show one finger.
    """
    a, b = ridges(image_a), ridges(image_b)
    height, width = a.shape
    patch = a[height // 4 : height - height // 4, width // 4 : width - width // 4]
    if not patch.std() > 0.01:  # nothing there that could agree
        return 0.0
    centre = ((width - 1) / 2, (height - 1) / 2)
    turns = np.arange(-TURN, TURN, STEP)
    return max(
        float(cv2.matchTemplate(_turned(b, turn, centre), patch, cv2.TM_CCOEFF_NORMED).max())
        for turn in turns
    )


def resampled(image: Float, at: Float) -> Float:
    """The image [H, W] at the positions (x, y) [h, w, 2], 0 outside of it."""
    x, y = cv2.split(at)
    return _array(cv2.remap(image, x, y, cv2.INTER_LINEAR))


def ridges(image: NDArray[np.uint8]) -> Float:
    """The image [H, W] without its background and at one local contrast, about in [-3, 3]."""
    smooth = _blurred(image.astype(np.float32), 0.8)
    smooth -= _blurred(smooth, 3)
    return np.asarray(smooth / np.sqrt(_blurred(smooth * smooth, 5) + np.float32(4)), np.float32)


def _turned(image: Float, turn: float, centre: tuple[float, float]) -> Float:
    matrix = cv2.getRotationMatrix2D(centre, math.degrees(turn), 1.0)
    return _array(cv2.warpAffine(image, matrix, image.shape[::-1]))


def _blurred(image: Float, deviation: float) -> Float:
    return _array(cv2.GaussianBlur(image, (0, 0), deviation))


def _array(image: Any) -> Float:
    """What OpenCV returns, as the type that it is."""
    return np.asarray(image, np.float32)


def _peak(line: Float, at: int) -> float:
    """Where the parabola through the three values about the highest has its top."""
    if not 0 < at < len(line) - 1:
        return float(at)
    before, top, after = (float(value) for value in line[at - 1 : at + 2])
    bend = before - 2 * top + after
    return at + (0.5 * (before - after) / bend if bend < 0 else 0.0)
