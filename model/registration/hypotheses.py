"""From matches to the one smooth map that the ridges of both prints bear out best.

All lengths are px at 500 ppi.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from model.registration import deformation
from model.registration.deformation import DenseMap
from model.registration.ridge_alignment import Texture, refine
from pipeline.imaging.warp import Array

CANDIDATES = 4  # similarities tried
BORNE_OUT = 0.4  # agreement of ridges that a wrong map hardly reaches; they have 0.1, at most 0.29
CERTAIN = 0.6  # … and one that is a ridge beside the truth hardly does
HOPELESS = 0.08  # not worth looking beside, though most wrong maps have more
BESIDE = 12.0  # length; more than a ridge period, less than two
DIRECTIONS = 6


def search(matches: Array, a: Texture, b: Texture) -> tuple[DenseMap | None, float]:
    """The refined map that brings A's ridges onto B's best, and `refine.agreement` of it.

    Of matches [K, 5]. The similarity that most of them support comes first; where the ridges do not
    bear it out, the next one is tried, on the matches that the first leaves over, up to CANDIDATES.
    Ridges run side by side, so that the best may still lie one beside the truth: where that cannot
    be excluded, it is tried. None, and 0, where no similarity has enough support.
    """
    best: tuple[DenseMap | None, float] = (None, 0.0)
    start: DenseMap | None = None
    for _ in range(CANDIDATES):
        found = deformation.fit(matches, a.shape)
        if found is None:
            break
        refined = refine(found, a, b)
        if start is None or refined[1] > best[1]:
            best, start = refined, found
        if best[1] > BORNE_OUT:
            break
        matches = matches[~found.agrees]
    if start is None or not HOPELESS < best[1] < CERTAIN:
        return best
    tried = [refine(other, a, b) for other in _beside(start)]
    return max([best, *tried], key=lambda one: one[1])


def _beside(found: DenseMap) -> list[DenseMap]:
    """The map moved by BESIDE to all sides."""
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    moves = BESIDE * np.stack([np.cos(angles), np.sin(angles)], -1)
    return [
        dataclasses.replace(found, matrix=found.matrix + np.c_[np.zeros((2, 2)), move])
        for move in moves
    ]
