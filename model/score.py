"""The agreement of ridges as a probability.

A logistic curve, fitted as by Platt ("Probabilistic outputs for support vector machines", 1999) to
registrations by the network that ships: pairs of impressions of 100 synthetic fingers that it never
saw, and as many pairs of two fingers. docs/EXPERIMENTS.md says how far it holds.
"""

from __future__ import annotations

import math

OFFSET, SLOPE = -6.89, 20.64
LEAST = 0.05  # probability below which two prints are said not to show the same skin


def probability(agreement: float) -> float:
    """That two prints are of one finger, where half of all pairs are, of their `agreement`."""
    return 1 / (1 + math.exp(-(OFFSET + SLOPE * agreement)))
