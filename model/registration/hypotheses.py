"""From matches to the one smooth map that the ridges of both prints bear out best.

All lengths are px at 500 ppi.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from model.registration import deformation
from model.registration.deformation import Deformation
from model.registration.ridge_alignment import RidgeImage, align_ridges
from pipeline.imaging.warp import Array


@dataclasses.dataclass(frozen=True)
class HypothesisParameters:
    """Thresholds of the search over hypotheses. Lengths are px at 500 ppi."""

    candidates: int = 4
    supported_correlation: float = 0.4
    certain_correlation: float = 0.6
    hopeless_correlation: float = 0.08
    shift: float = 12.0
    directions: int = 6


DEFAULT = HypothesisParameters()


def best_hypothesis(
    matches: Array, a: RidgeImage, b: RidgeImage
) -> tuple[Deformation | None, float]:
    """The refined map that brings A's ridges onto B's best, and `ridge_correlation` of it.

    Of matches [K, 5]. The similarity that most of them support comes first; where the ridges do not
    bear it out, the next one is tried, on the matches that the first leaves over, up to `candidates`.
    Ridges run side by side, so that the best may still lie one beside the truth: where that cannot
    be excluded, it is tried. None, and 0, where no similarity has enough support.
    """
    best: tuple[Deformation | None, float] = (None, 0.0)
    start: Deformation | None = None
    for _ in range(DEFAULT.candidates):
        found = deformation.fit_deformation(matches, a.shape)
        if found is None:
            break
        refined = align_ridges(found, a, b)
        if start is None or refined[1] > best[1]:
            best, start = refined, found
        if best[1] > DEFAULT.supported_correlation:
            break
        matches = matches[~found.agrees]
    if start is None or not DEFAULT.hopeless_correlation < best[1] < DEFAULT.certain_correlation:
        return best
    tried = [align_ridges(other, a, b) for other in _beside(start)]
    return max([best, *tried], key=lambda one: one[1])


def _beside(found: Deformation) -> list[Deformation]:
    """The map moved by `shift` to all sides."""
    angles = 2 * np.pi * np.arange(DEFAULT.directions) / DEFAULT.directions
    moves = DEFAULT.shift * np.stack([np.cos(angles), np.sin(angles)], -1)
    return [
        dataclasses.replace(found, matrix=found.matrix + np.c_[np.zeros((2, 2)), move])
        for move in moves
    ]
