"""Calibration: scores and confidences as probabilities, and the uncertainty of maps in px.

Logistic curves (Platt, "Probabilistic outputs for support vector machines", 1999) and weights that
belong to one network: `train.evaluation.calibrate` fits them and the checkpoint holds them.
docs/RESULTS.md has their calibration error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from shards.foundation.printable import percent


@dataclass(frozen=True)
class CalibrationLimits:
    """Limits within which the curves are computed without overflow."""

    # Largest magnitude of an offset or a slope. Chosen.
    largest_coefficient: float = 1e6
    # A confidence closer to 1 than this counts as this close. Chosen.
    least_distance_from_one: float = 1e-6
    # Largest magnitude of log odds: exp of a float64 overflows beyond 709.
    largest_log_odds: float = 700.0


LIMITS = CalibrationLimits()


@dataclass(frozen=True)
class CalibrationCurves:
    """Offset and slope of the log odds of two probabilities.

    Attributes:
        score_offset, score_slope: probability of one finger, from the ridge correlation.
        match_offset, match_slope: probability that a match is right, from the log odds of the
            network's confidence.

    Raises:
        ValueError: a number is not finite or too large, or a slope is not positive.
    """

    score_offset: float
    score_slope: float
    match_offset: float
    match_slope: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        largest = LIMITS.largest_coefficient
        if not all(abs(number) <= largest for number in astuple(self)):
            raise ValueError(f"{self}: expected numbers of at most {largest:g}")
        if self.score_slope <= 0 or self.match_slope <= 0:
            raise ValueError(f"{self}: a curve does not rise; expected positive slopes")

    def probability(self, correlation: float) -> float:
        """Return the probability that two impressions show one finger.

        Args:
            correlation: ridge correlation in [0, 1].

        Returns:
            Probability where half of all pairs are genuine.
        """
        return float(logistic(np.float64(self.score_offset + self.score_slope * correlation)))

    def match_probability(self, confidence: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probability [K] that matches are right to 8 px at 500 ppi.

        Args:
            confidence: [K], the network's, in (0, 1].
        """
        return logistic(self.match_offset + self.match_slope * log_odds(confidence))


@dataclass(frozen=True)
class ExplainedMatchCurve:
    """Offset and slope of the log odds that a match near a returned map is right.

    Such matches are right far more often than others of the same confidence.

    Raises:
        ValueError: a number is not finite or too large, or the slope is not positive.
    """

    offset: float
    slope: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        largest = LIMITS.largest_coefficient
        if not all(abs(number) <= largest for number in astuple(self)) or self.slope <= 0:
            raise ValueError(f"{self}: expected numbers of at most {largest:g}, a slope above 0")


@dataclass(frozen=True)
class ScoreWeights:
    """Weights of the evidence for one finger.

    Attributes:
        floor: lowest probability that is returned: that two impressions whose registration failed
            show one finger.
        offset: of the log odds.
        correlation, …, coverage: weights of the evidence of the same name
            (`model.registration.evidence.Evidence`), at least 0.

    Raises:
        ValueError: a number is not finite or too large, a weight is negative, all weights are 0, or
            the floor is not in [0, 1).
    """

    floor: float
    offset: float
    correlation: float
    weakest: float
    unbent: float
    support: float
    opposition: float
    direction: float
    period: float
    evenness: float
    stiffness: float
    coverage: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        numbers = astuple(self)
        if not all(abs(number) <= LIMITS.largest_coefficient for number in numbers):
            raise ValueError(f"{self}: expected numbers of at most {LIMITS.largest_coefficient:g}")
        weights = numbers[2:]
        if min(weights) < 0 or not max(weights) > 0:
            raise ValueError(f"{self}: expected weights of at least 0, one of them above")
        if not 0 <= self.floor < 1:
            raise ValueError(f"{self}: expected a floor in [0, 1)")

    def probability(self, evidence: Sequence[float] | NDArray) -> float:
        """Return the probability of one finger where half of all pairs are genuine.

        Args:
            evidence: a number for each weight (`model.registration.evidence.Evidence`).
        """
        log_odds = np.float64(self.offset + np.dot(astuple(self)[2:], evidence))
        return float(self.floor + (1 - self.floor) * logistic(log_odds))


@dataclass(frozen=True)
class UncertaintyWeights:
    """Weights of the logarithm of the standard deviation.

    Attributes:
        offset: logarithm of px at 500 ppi where every doubt is 0.
        dissimilarity, isolation, match_error, opposition: weights of the doubts of that name
            (`measure_doubt`), at least 0.

    Raises:
        ValueError: a number is not finite or too large, or a weight is negative.
    """

    offset: float
    dissimilarity: float
    isolation: float
    match_error: float
    opposition: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        numbers = astuple(self)
        if not all(abs(number) <= LIMITS.largest_coefficient for number in numbers):
            raise ValueError(f"{self}: expected numbers of at most {LIMITS.largest_coefficient:g}")
        if min(numbers[1:]) < 0:
            raise ValueError(f"{self}: expected weights of at least 0")


@dataclass(frozen=True)
class Calibration:
    """What `python -m train calibrate` fits to a network.

    Attributes:
        curves: of the matches' probabilities, and of the score where there are no weights.
        score: weights of the evidence; None for a checkpoint of an earlier version.
        uncertainty: weights of the map's uncertainty; None likewise.
        explained: of the matches near a returned map; None likewise.
    """

    curves: CalibrationCurves
    score: ScoreWeights | None = None
    uncertainty: UncertaintyWeights | None = None
    explained: ExplainedMatchCurve | None = None

    def explained_probability(self, confidence: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probability [K] that matches near a returned map are right to 8 px.

        Args:
            confidence: [K], the network's, in (0, 1].
        """
        if self.explained is None:
            return self.curves.match_probability(confidence)
        return logistic(self.explained.offset + self.explained.slope * log_odds(confidence))


# Curves for a checkpoint that has none: those of an earlier network, fitted to 400 synthetic pairs
# (docs/LOG.md, 2026-11-23, "The score's curves fitted by a command"). Scores by them order pairs,
# but are not probabilities.
DEFAULT_CURVES = CalibrationCurves(-6.62, 20.88, 1.49, 0.966)
UNCALIBRATED = (
    "uncalibrated: scores order pairs but are no probabilities (python -m train calibrate)"
)


@dataclass(frozen=True)
class RecommendedThreshold:
    """Score from which two impressions are taken for one finger, by the network that ships."""

    # Chosen: above the highest score of an impostor pair, 0.67 with METHOD_VERSION 5 and 0.54 with
    # 16. Measured (docs/RESULTS.md, "From which score on is it one finger?") in so many impostor
    # pairs of so many fingers.
    score: float = 0.7
    impostor_pairs: int = 2220
    fingers: int = 292
    # Upper end of the 95 % interval of the false match rate: no false match, rule of three by
    # finger, of which an impostor pair has two (`train.evaluation.bootstrap.zero_error_bound`).
    fmr_bound: float = 0.0204

    def __str__(self) -> str:
        """Return it for the user."""
        return (
            f"Recommended threshold of the score: {self.score:g}; no false match in"
            f" {self.impostor_pairs:,} impostor pairs of {self.fingers} fingers, so an FMR of at"
            f" most {percent(self.fmr_bound, 1)} for whole impressions"
        )


THRESHOLD = RecommendedThreshold()


def score_meaning(calibrated: bool) -> str:
    """Return a description of the scores of a network with or without curves of its own."""
    return "probability" if calibrated else UNCALIBRATED


def log_odds(confidence: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the log odds [K] of probabilities [K] in (0, 1]."""
    below_one = np.minimum(confidence, 1 - LIMITS.least_distance_from_one)
    return np.asarray(np.log(confidence) - np.log1p(-below_one), np.float64)


def logistic(odds: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """Return the probabilities, in [0, 1], of log odds; any shape."""
    largest = LIMITS.largest_log_odds
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -largest, largest))), np.float64)
