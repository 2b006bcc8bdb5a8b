"""The agreement of ridges, and the network's confidence in a match, as probabilities.

By logistic curves (Platt, "Probabilistic outputs for support vector machines", 1999) that belong to
one network: `train.evaluation.calibrate` fits them, and the checkpoint carries them. docs/LOG.md says
how far they hold.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

CERTAIN = 1e-6  # a confidence as near to 1 counts as that near
LARGEST = 1e6  # of an offset or a slope
EXTREME = 700.0  # log odds beyond which an exponential of float64 overflows


@dataclass(frozen=True)
class CalibrationCurves:
    """Offset and slope of the log odds of either probability."""

    score_offset: float
    score_slope: float
    match_offset: float
    match_slope: float

    def __post_init__(self) -> None:
        """ValueError where a number is not finite or beyond use, or a curve does not rise."""
        if not all(abs(number) <= LARGEST for number in astuple(self)):
            raise ValueError(f"expected numbers of at most {LARGEST:g}: {self}")
        if self.score_slope <= 0 or self.match_slope <= 0:
            raise ValueError(f"does not rise: {self}")

    def probability(self, agreement: float) -> float:
        """That two prints are of one finger, where half of all pairs are, of their `agreement`."""
        return float(logistic(np.float64(self.score_offset + self.score_slope * agreement)))

    def match_probability(self, confidence: NDArray[np.floating]) -> NDArray[np.float64]:
        """That matches [K] are right to 8 px at 500 ppi, of the network's in (0, 1]."""
        return logistic(self.match_offset + self.match_slope * log_odds(confidence))


# Of a network before the one that ships: what one without curves of its own answers by. Its scores
# order pairs, and what is below RegistrarParameters.least_probability gets no map, but they are no probabilities.
DEFAULT_CURVES = CalibrationCurves(-6.62, 20.88, 1.49, 0.966)
UNCALIBRATED = (
    "uncalibrated: scores order pairs but are no probabilities (python -m train calibrate)"
)


def score_meaning(calibrated: bool) -> str:
    """What a score is, for whoever reads it."""
    return "probability" if calibrated else UNCALIBRATED


def log_odds(confidence: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of probabilities in (0, 1]."""
    below_one = np.minimum(confidence, 1 - CERTAIN)
    return np.asarray(np.log(confidence) - np.log1p(-below_one), np.float64)


def logistic(odds: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """The probabilities of log odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -EXTREME, EXTREME))), np.float64)
