"""Results of the FVC protocol: the scores of all comparisons and the metrics from them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.evaluation import bootstrap, error_rates, score_threshold
from train.evaluation.averages import median
from train.evaluation.bootstrap import Interval
from train.evaluation.impression_folder import finger_name
from train.evaluation.result_log import Row
from train.evaluation.score_threshold import ScoreThreshold, count_fingers

SHARES = (*error_rates.METRICS, "confirmed", "aligned")

Metrics = dict[str, float]  # "eer", "eer_low", "eer_high", …


@dataclass(frozen=True, eq=False)
class FvcResults:
    """Results of P comparisons.

    Attributes:
        rows: one per comparison: "a", "b" (file names), "genuine", "fault" (why it could not be
            made, or None), "scores" by method, "minutiae" by method (see `minutiae_metrics`).
        scores: float64 [P] by method; -inf for a comparison that could not be made.
        genuine: bool [P].
        fingers: the two fingers of each comparison.
    """

    rows: list[Row]
    scores: dict[str, NDArray[np.float64]]
    genuine: NDArray[np.bool_]
    fingers: list[tuple[str, str]]

    @property
    def faults(self) -> list[str]:
        """Why comparisons could not be made, one message for each."""
        return [row["fault"] for row in self.rows if row["fault"]]

    @functools.cached_property
    def weights(self) -> NDArray[np.float64]:
        """How often each comparison counts in each bootstrap replica, float64 [R, P]."""
        fingers_a, fingers_b = zip(*self.fingers, strict=True)
        return bootstrap.resample_weights(fingers_a, fingers_b)

    def metrics(self) -> dict[str, Metrics]:
        """Compute the metrics of each method.

        Returns:
            {method: metrics}, each metric followed by "…_low" and "…_high", the ends of its 95 %
            interval over fingers: error rates where there are comparisons of both kinds;
            confirmed, aligned and residual where there are reference minutiae. NaN where a metric
            is undefined.
        """
        return {
            method: self.score_metrics(method) | self.minutiae_metrics(method)
            for method in self.scores
        }

    def threshold(self, method: str) -> ScoreThreshold | None:
        """Recommend a threshold of a method's score; None without comparisons of both kinds."""
        impostors = count_fingers(self._fingers(~self.genuine))
        return score_threshold.recommend(self.scores[method], self.genuine, impostors)

    def _fingers(self, chosen: NDArray[np.bool_]) -> list[tuple[str, str]]:
        return [self.fingers[k] for k in np.flatnonzero(chosen)]

    def score_metrics(self, method: str) -> Metrics:
        """Compute the error rates of a method; empty without comparisons of both kinds."""
        score = self.scores[method]
        if self.genuine.all() or not self.genuine.any():
            return {}
        values = error_rates.metrics(score, self.genuine)
        intervals = error_rates.intervals(score, self.genuine, self.weights)
        kinds = [count_fingers(self._fingers(kind)) for kind in (self.genuine, ~self.genuine)]
        fingers = dict.fromkeys(values, min(kinds))
        return bootstrap.with_intervals(values, intervals, fingers, SHARES)

    def minutiae_metrics(self, method: str) -> Metrics:
        """Compute mean confirmed and aligned shares, and the median residual (px at 500 ppi)."""
        measured = [k for k, row in enumerate(self.rows) if method in row["minutiae"]]
        if not measured:
            return {}
        maps = [self.rows[k]["minutiae"][method] for k in measured]
        weights = self.weights[:, measured]
        weights = weights[weights.any(1)]
        values: Metrics = {}
        intervals: dict[str, Interval] = {}
        for name in ("confirmed", "aligned"):
            of_pair = np.array([one[name] for one in maps], float)
            values[name] = float(of_pair.mean())
            intervals[name] = bootstrap.ratio_interval(of_pair, np.ones(len(maps)), weights)
        residuals = np.concatenate([one["distances"] for one in maps])
        pair_index = np.repeat(np.arange(len(maps)), [len(one["distances"]) for one in maps])
        values["residual"] = median(residuals)
        intervals["residual"] = bootstrap.median_interval(residuals, pair_index, weights)
        fingers = dict.fromkeys(values, count_fingers([self.fingers[k] for k in measured]))
        return bootstrap.with_intervals(values, intervals, fingers, SHARES)


def collect(rows: list[Row]) -> FvcResults:
    """Collect the results of the rows of a log."""
    methods = dict.fromkeys(method for row in rows for method in row["scores"])
    scores = {
        method: np.array([row["scores"].get(method, -np.inf) for row in rows], np.float64)
        for method in methods
    }
    genuine = np.array([row["genuine"] for row in rows], bool)
    fingers = [(finger_name(row["a"]), finger_name(row["b"])) for row in rows]
    return FvcResults(rows, scores, genuine, fingers)
