"""Error rates of verification, as the FVC competitions define them, from the scores of pairs.

The false match rate FMR(t) is the share of impostor pairs with a score of at least t; the false
non-match rate FNMR(t) is the share of genuine pairs with a score below t (Maio et al., "FVC2000:
Fingerprint Verification Competition", IEEE PAMI 24(3), 2002, section 4). Both are step functions
of the threshold and are not interpolated. A pair that could not be compared has the score -inf:
it is rejected at every threshold.

This is the only definition of EER and AUC in `train`: point values, their bootstrap intervals and
the validation during training all use it. A test compares AUC with that of scikit-learn, which is
too slow for a thousand replicas of every group (measured: 4 ms each instead of 0.5 ms).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.evaluation import bootstrap
from train.evaluation.bootstrap import BootstrapParameters, Interval

Floats = NDArray[np.float64]
METRICS = ("eer", "fmr100", "fmr1000", "zero_fmr", "auc")


@dataclass(frozen=True, eq=False)
class ErrorRates:
    """Both error rates at every threshold.

    Attributes:
        threshold: float64 [T], every finite score that occurs, ascending, then infinity.
        fmr: float64 [T], false match rate, non-increasing.
        fnmr: float64 [T], false non-match rate, non-decreasing.
    """

    threshold: Floats
    fmr: Floats
    fnmr: Floats

    def fnmr_at_fmr(self, limit: float) -> float:
        """Return the lowest FNMR with FMR <= `limit`: FMR100 for 0.01, ZeroFMR for 0."""
        return float(self.fnmr[np.argmax(self.fmr <= limit)])

    def eer(self) -> float:
        """Return the equal error rate: the middle of the interval that FVC2000 defines.

        The rates seldom meet exactly. Of the last threshold with FNMR <= FMR and the first with
        FNMR >= FMR, the one with the smaller sum of both rates counts.
        """
        total = self.fnmr + self.fmr
        first = int(np.argmax(self.fnmr >= self.fmr))
        equal = self.fnmr[first] == self.fmr[first]
        last = first if equal or first == 0 else first - 1
        return float(min(total[first], total[last]) / 2)

    def auc(self) -> float:
        """Return the area under the ROC curve.

        It is the probability that a genuine pair has a higher score than an impostor pair; equal
        scores count half.
        """
        fmr, true_match = np.append(1.0, self.fmr), np.append(1.0, 1 - self.fnmr)
        return float(np.trapezoid(true_match[::-1], fmr[::-1]))

    def metrics(self) -> dict[str, float]:
        """Return EER, FMR100, FMR1000, ZeroFMR and AUC under the names in METRICS."""
        fixed = [self.fnmr_at_fmr(limit) for limit in (0.01, 0.001, 0.0)]
        return dict(zip(METRICS, (self.eer(), *fixed, self.auc()), strict=True))


def compute(score: NDArray, genuine: NDArray[np.bool_], weight: Floats | None = None) -> ErrorRates:
    """Compute the error rates of P pairs.

    Args:
        score: float [P], higher for more similar; -inf for a pair that could not be compared.
        genuine: bool [P].
        weight: float64 [P], how often each pair counts; once by default. There must be a genuine
            and an impostor pair with a weight above 0.
    """
    weight = np.ones(len(score)) if weight is None else weight
    threshold = np.append(np.unique(score[np.isfinite(score)]), np.inf).astype(np.float64)
    below_genuine, total_genuine = _weight_below(score[genuine], weight[genuine], threshold)
    below_impostor, total_impostor = _weight_below(score[~genuine], weight[~genuine], threshold)
    # 1 - below / total would not give 0.01 exactly
    fmr = (total_impostor - below_impostor) / total_impostor
    return ErrorRates(threshold, fmr, below_genuine / total_genuine)


def metrics(score: NDArray, genuine: NDArray[np.bool_]) -> dict[str, float]:
    """Return the METRICS of P pairs with `score` [P]; NaN without both kinds of pairs."""
    if genuine.all() or not genuine.any():
        return dict.fromkeys(METRICS, math.nan)
    return compute(score, genuine).metrics()


def intervals(
    score: NDArray,
    genuine: NDArray[np.bool_],
    weights: Floats,
    parameters: BootstrapParameters = bootstrap.DEFAULT,
) -> dict[str, Interval]:
    """Compute a bootstrap interval of each of the METRICS.

    Args:
        score: float [P].
        genuine: bool [P].
        weights: float64 [R, P], how often each pair counts in each replica
            (`bootstrap.resample_weights`). Replicas without a genuine or without an impostor pair
            are left out.
        parameters: share of the replicas within an interval.

    Returns:
        {metric: (low, high)}, NaN where there are no replicas.
    """
    replicas = [
        list(compute(score, genuine, weight).metrics().values())
        for weight in weights
        if weight[genuine].any() and weight[~genuine].any()
    ]
    columns = np.array(replicas).reshape(-1, len(METRICS)).T
    return {
        name: bootstrap.percentile_interval(values, parameters)
        for name, values in zip(METRICS, columns, strict=True)
    }


def _weight_below(score: NDArray, weight: Floats, threshold: Floats) -> tuple[Floats, float]:
    """Return the weight of the scores below each threshold [T], and that of all scores."""
    order = np.argsort(score)
    cumulative = np.append(0.0, np.cumsum(weight[order]))
    return cumulative[np.searchsorted(score[order], threshold)], float(cumulative[-1])
