"""The agreement of ridges, and the network's confidence in a match, as probabilities.

Logistic curves (Platt, "Probabilistic outputs for support vector machines", 1999), fitted to the
network that ships on synthetic fingers that it never saw: to 198 pairs of two impressions and 196
of two fingers, and to the matches of 500 pairs of a validation split. docs/EXPERIMENTS.md says how
far they hold.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

OFFSET, SLOPE = -6.62, 20.88
MATCH_OFFSET, MATCH_SLOPE = 1.49, 0.966
LEAST = 0.05  # probability below which two prints are said not to show the same skin


def probability(agreement: float) -> float:
    """That two prints are of one finger, where half of all pairs are, of their `agreement`."""
    return 1 / (1 + math.exp(-(OFFSET + SLOPE * agreement)))


def match_probability(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """That matches [K] are right to 8 px at 500 ppi, of the network's `confidence` in (0, 1]."""
    odds = np.log(confidence) - np.log1p(-np.minimum(confidence, 1 - 1e-6))
    return np.asarray(1 / (1 + np.exp(-(MATCH_OFFSET + MATCH_SLOPE * odds))), np.float64)
