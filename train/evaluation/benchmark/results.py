"""Metrics of a benchmark from its rows: by set and over all sets, by method, by condition.

A comparison that a method could not make counts as rejected, as confirming no minutia and as
without any agreement of ridges: to refuse hard pairs improves none of these. Bending, residual and
time are of the comparisons that were made.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.evaluation import bootstrap, error_rates, reference_minutiae, strata
from train.evaluation.averages import median
from train.evaluation.benchmark.afis_minutiae import MATCHERS
from train.evaluation.benchmark.comparisons import DEFAULT as COMPARISONS
from train.evaluation.benchmark.entries import ALL_SETS, BEFORE
from train.evaluation.bootstrap import Floats
from train.evaluation.fvc_results import FvcResults, Metrics
from train.evaluation.impression_folder import finger_name
from train.evaluation.result_log import Row
from train.evaluation.score_threshold import count_fingers

TAR_LIMITS = {"tar_far1": "fmr100", "tar_far01": "fmr1000"}  # true accept rate: 1 - FNMR
Masks = dict[str, NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class SetRows:
    """The rows of one set.

    Attributes:
        name: of the set.
        facts: one row per pair, see `pair_facts.measure`.
        rows: one row per pair, in the same order, by method, see `comparisons.run_method`.
    """

    name: str
    facts: list[Row]
    rows: dict[str, list[Row]]


@dataclass(frozen=True, eq=False)
class Table:
    """The pairs of one or several sets, P in all.

    Attributes:
        facts: [P].
        rows: [P] by method.
        fingers: the two fingers of each pair, with their set.
    """

    facts: list[Row]
    rows: dict[str, list[Row]]
    fingers: list[tuple[str, str]]

    @functools.cached_property
    def genuine(self) -> NDArray[np.bool_]:
        """Which pairs are genuine, bool [P]."""
        return np.array([row["genuine"] for row in self.facts], bool)

    @functools.cached_property
    def verification(self) -> FvcResults:
        """Scores and witness minutiae of all methods, and of the rigid oracle."""
        rows = [
            {"fault": None, "minutiae": self._minutiae(k), "genuine": fact["genuine"]}
            for k, fact in enumerate(self.facts)
        ]
        scores = {
            method: np.array([row.get("score", -np.inf) for row in of], np.float64)
            for method, of in self.rows.items()
        }
        return FvcResults(rows, scores, self.genuine, self.fingers)

    def _minutiae(self, k: int) -> dict[str, Row]:
        """Return the measures of pair `k` by the witness, by method; empty without a witness.

        A genuine pair of which a file cannot be opened counts for the methods, which all confirm
        nothing of it, and not for the oracle.
        """
        fact = self.facts[k]
        if fact["mates"] is None:
            is_lost = fact["fault"] and fact["genuine"] and self._has_witness
            nothing = {"confirmed": 0.0, "aligned": False, "distances": []}
            return dict.fromkeys(self.rows, nothing) if is_lost else {}
        oracle = {
            "confirmed": fact["oracle"],
            "aligned": fact["oracle"] > 0,
            "distances": fact["residuals"],
        }
        return {reference_minutiae.ORACLE: oracle} | {
            method: {
                "confirmed": of[k].get("confirmed", 0.0),
                "aligned": of[k].get("aligned", False),
                "distances": of[k].get("residuals", []),
            }
            for method, of in self.rows.items()
        }

    @functools.cached_property
    def _has_witness(self) -> bool:
        """Whether any pair was measured by a witness."""
        return any(fact["mates"] is not None for fact in self.facts)

    def metrics(self) -> dict[str, Metrics]:
        """Compute the metrics of each method, of the rigid oracle and of the matchers before.

        Returns:
            {method: metrics}, each metric followed by the ends of its 95 % interval over fingers.
        """
        metrics = {method: self._method_metrics(method) for method in self.rows}
        oracle = self.verification.minutiae_metrics(reference_minutiae.ORACLE)
        if oracle:
            mates = self._median_of([fact["residuals"] or [] for fact in self.facts], "mates")
            metrics[reference_minutiae.ORACLE] = oracle | mates
        before = self._matcher_metrics(self.facts)
        return metrics | ({BEFORE: before} if before else {})

    def _method_metrics(self, method: str) -> Metrics:
        rows, verification = self.rows[method], self.verification
        metrics = verification.score_metrics(method)
        metrics |= _true_accept_rates(metrics)
        metrics |= verification.minutiae_metrics(method)
        if any(fact["mates"] for fact in self.facts):
            metrics |= self._median_of([self.mate_distances(method, k) for k in self._all], "mates")
        correlation = np.array([row.get("correlation", 0.0) for row in rows])
        metrics |= self._mean_of(correlation, self.genuine, "correlation")
        metrics |= self._mean_of(correlation, ~self.genuine, "correlation_impostor")
        metrics |= self._matcher_metrics(rows)
        bending = [_as_list(row.get("bending")) if row["genuine"] else [] for row in rows]
        metrics |= self._median_of(bending, "bending")
        seconds = [row["seconds"] for row in rows if "seconds" in row]
        metrics["seconds"] = median(np.array(seconds))
        return metrics | {"failed": float(sum(bool(row["fault"]) for row in rows))}

    @property
    def _all(self) -> range:
        return range(len(self.facts))

    def mate_distances(self, method: str, k: int) -> list[float]:
        """Return the distances of the mates of pair `k` by a method; lost where it failed."""
        mates = self.facts[k]["mates"] or []
        lost = [COMPARISONS.lost_distance] * len(mates)
        distances: list[float] = self.rows[method][k].get("mate_distances", lost)
        return distances

    def _matcher_metrics(self, rows: list[Row]) -> Metrics:
        """Compute EER and mean scores of each independent matcher; a failed pair scores 0."""
        metrics: Metrics = {}
        for matcher in MATCHERS:
            if not any(matcher in row["matchers"] for row in rows):
                continue
            score = np.array([row["matchers"].get(matcher, 0.0) for row in rows], np.float64)
            metrics |= self._error_rate(score, f"{matcher}_eer")
            metrics |= self._mean_of(score, self.genuine, f"{matcher}_genuine")
            metrics |= self._mean_of(score, ~self.genuine, f"{matcher}_impostor")
        return metrics

    def _error_rate(self, score: Floats, name: str) -> Metrics:
        if self.genuine.all() or not self.genuine.any():
            return {}
        value = error_rates.metrics(score, self.genuine)["eer"]
        interval = error_rates.intervals(score, self.genuine, self.verification.weights)["eer"]
        fingers = min(self._count_fingers(self.genuine), self._count_fingers(~self.genuine))
        return bootstrap.with_intervals({name: value}, {name: interval}, {name: fingers}, [name])

    def _mean_of(
        self, values: Floats, chosen: NDArray[np.bool_], name: str, is_share: bool = False
    ) -> Metrics:
        """Compute the mean over the chosen pairs; empty without any."""
        if not chosen.any():
            return {}
        interval = bootstrap.ratio_interval(
            values * chosen, chosen.astype(float), self.verification.weights
        )
        fingers = {name: self._count_fingers(chosen)}
        mean = {name: float(values[chosen].mean())}
        shares = [name] if is_share else []
        return bootstrap.with_intervals(mean, {name: interval}, fingers, shares)

    def _median_of(self, values: list[list[float]], name: str) -> Metrics:
        """Compute the median of values, of which each pair has any number; empty without any."""
        flat = np.array([value for of_pair in values for value in of_pair], np.float64)
        if not len(flat):
            return {}
        counts = np.array([len(of_pair) for of_pair in values])
        index = np.repeat(np.arange(len(values)), counts)
        interval = bootstrap.median_interval(flat, index, self.verification.weights)
        fingers = {name: self._count_fingers(counts > 0)}
        return bootstrap.with_intervals(
            {name: float(np.median(flat))}, {name: interval}, fingers, []
        )

    def _count_fingers(self, chosen: NDArray[np.bool_]) -> int:
        return count_fingers([self.fingers[k] for k in np.flatnonzero(chosen)])

    def groups(self) -> Masks:
        """Return which genuine pairs are in each group of a condition, without empty groups."""
        conditions = {
            name: np.array(
                [row["conditions"].get(name) for row in self.facts], np.float64
            )  # None becomes NaN, which is in no group
            for name in strata.CONDITIONS
        }
        masks = strata.groups(conditions)
        chosen = {name: mask & self.genuine for name, mask in masks.items()}
        return {name: mask for name, mask in chosen.items() if mask.any()}

    def group_metrics(self, method: str, chosen: NDArray[np.bool_]) -> Metrics:
        """Compute metrics of the chosen genuine pairs.

        The true accept rate is at the threshold at which all pairs of the table have an FMR of at
        most 1 %.
        """
        score, rows = self.verification.scores[method], self.rows[method]
        metrics: Metrics = {"pairs": float(chosen.sum())}
        if not self.genuine.all():
            rates = error_rates.compute(score, self.genuine)
            threshold = rates.threshold[np.argmax(rates.fmr <= 0.01)]
            accepted = (score >= threshold).astype(float)
            metrics |= self._mean_of(accepted, chosen, "tar_far1", is_share=True)
        correlation = np.array([row.get("correlation", 0.0) for row in rows])
        metrics |= self._mean_of(correlation, chosen, "correlation")
        measured = chosen & np.array([fact["mates"] is not None for fact in self.facts])
        confirmed = np.array([row.get("confirmed", 0.0) for row in rows])
        metrics |= self._mean_of(confirmed, measured, "confirmed")
        mates = [self.mate_distances(method, k) if measured[k] else [] for k in self._all]
        return metrics | self._median_of(mates, "mates")


def tables(sets: list[SetRows]) -> dict[str, Table]:
    """Return the table of each set and, of several, that of all sets together."""
    by_set = {of.name: _join([of]) for of in sets}
    return by_set | ({ALL_SETS: _join(sets)} if len(sets) > 1 else {})


def _join(sets: list[SetRows]) -> Table:
    facts = [row for of in sets for row in of.facts]
    rows = {method: [row for of in sets for row in of.rows[method]] for method in sets[0].rows}
    fingers = [
        (f"{of.name}/{finger_name(row['a'])}", f"{of.name}/{finger_name(row['b'])}")
        for of in sets
        for row in of.facts
    ]
    return Table(facts, rows, fingers)


def _true_accept_rates(metrics: Metrics) -> Metrics:
    """Return the true accept rates, with their intervals, from the FNMR at the same limits."""
    rates: Metrics = {}
    for name, source in TAR_LIMITS.items():
        if source in metrics:
            rates[name] = 1 - metrics[source]
            rates[f"{name}_low"] = 1 - metrics[f"{source}_high"]
            rates[f"{name}_high"] = 1 - metrics[f"{source}_low"]
    return rates


def _as_list(value: float | None) -> list[float]:
    return [] if value is None else [value]
