"""Results of the evaluation on pairs with known truth: arrays by method, metrics by group."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shards import record
from shards.foundation.printable import counted
from shards.foundation.text_table import format_table
from train.evaluation import accuracy, bootstrap, result_log, score_threshold, strata
from train.evaluation.crop_methods import NETWORK, Arrays
from train.evaluation.result_log import Row
from train.evaluation.score_threshold import ScoreThreshold, count_fingers

Metrics = dict[str, float]  # "pairs", "epe_median", "epe_median_low", "epe_median_high", …
ALL_PAIRS = "all"
CONSOLE_METRICS = ("epe_median", "pck@2", "pck@4", "pck@8", "precision", "auc", "eer")


@dataclass(frozen=True, eq=False)
class PairResults:
    """Results of P pairs by every method.

    Attributes:
        arrays: {method: arrays [P] or [P, N]}, as `metrics.evaluate_batch` returns them; those of
            NETWORK also hold "confidence", the probability of each match, 0 where there is none.
        pairs: a dictionary per pair: image ids "a" and "b", "finger_a", "finger_b", "kind",
            "noise" and the conditions of `strata`, NaN where they are undefined.
    """

    arrays: dict[str, Arrays]
    pairs: list[dict[str, Any]]

    @property
    def scores(self) -> dict[str, NDArray[np.float64]]:
        """The scores of each method, float64 [P]."""
        return {name: arrays["score"].astype(np.float64) for name, arrays in self.arrays.items()}

    @property
    def genuine(self) -> NDArray[np.bool_]:
        """Which pairs are genuine, bool [P]."""
        return np.asarray(self.arrays[NETWORK]["genuine"], bool)

    @functools.cached_property
    def fingers(self) -> list[tuple[str, str]]:
        """The two fingers of each pair."""
        return [(pair["finger_a"], pair["finger_b"]) for pair in self.pairs]

    def threshold(self, method: str) -> ScoreThreshold | None:
        """Recommend a threshold of a method's score; None without pairs of both kinds."""
        impostors = [self.fingers[k] for k in np.flatnonzero(~self.genuine)]
        score = self.scores[method]
        return score_threshold.recommend(score, self.genuine, count_fingers(impostors))

    @functools.cached_property
    def weights(self) -> NDArray[np.float64]:
        """How often each pair counts in each bootstrap replica, float64 [R, P]."""
        fingers_a, fingers_b = zip(*self.fingers, strict=True)
        return bootstrap.resample_weights(fingers_a, fingers_b)

    def groups(self) -> dict[str, NDArray[np.bool_]]:
        """Return which pairs are in each group, bool [P]: all, by kind, noise and condition."""
        masks = {ALL_PAIRS: np.ones(len(self.pairs), bool)}
        for key, names in (("kind", record.KINDS), ("noise", record.NOISES)):
            values = np.array([pair[key] for pair in self.pairs])
            masks |= {name: values == name for name in names}
        conditions = {
            key: np.array([pair[key] for pair in self.pairs]) for key in strata.CONDITIONS
        }
        return masks | strata.groups(conditions)

    @functools.cached_property
    def metrics(self) -> dict[str, dict[str, Metrics]]:
        """Metrics by method and group, {method: {group: metrics}}, without empty groups.

        "pairs" and "fingers" are the numbers of pairs and of fingers in them. Each other metric is
        followed by "…_low" and "…_high", the ends of its 95 % interval over fingers.
        """
        groups = {name: mask for name, mask in self.groups().items() if mask.any()}
        return {
            method: {
                name: _summarise(
                    _select(arrays, mask),
                    self.weights[:, mask],
                    [self.fingers[k] for k in np.flatnonzero(mask)],
                )
                for name, mask in groups.items()
            }
            for method, arrays in self.arrays.items()
        }

    def table(self) -> str:
        """Return the metrics over all pairs in less than 100 columns, one line per method."""
        rows = {method: groups[ALL_PAIRS] for method, groups in self.metrics.items()}
        lines = [
            [method, *(f"{row[name]:.3g}" for name in CONSOLE_METRICS)]
            for method, row in rows.items()
        ]
        fingers = counted(int(next(iter(rows.values()))["fingers"]), "finger")
        text = format_table([["", *CONSOLE_METRICS], *lines])
        text += f"\n{counted(len(self.pairs), 'pair')} of {fingers}"
        copies = int(np.sum([pair["kind"] == record.KINDS[0] for pair in self.pairs]))
        if not copies:
            return text
        return f"{text}\n{copies:,} pairs are an image and its own degraded copy: easy"


def collect(rows: list[Row]) -> PairResults:
    """Collect the results of the rows of a log, each of one batch (see `to_row`)."""
    batches = [_decode(row["results"]) for row in rows]
    arrays = {method: _concatenate([batch[method] for batch in batches]) for method in batches[0]}
    pairs = [
        {key: math.nan if value is None else value for key, value in pair.items()}
        for row in rows
        for pair in row["pairs"]
    ]
    return PairResults(arrays, pairs)


def to_row(arrays: dict[str, Arrays], pairs: list[dict[str, Any]]) -> Row:
    """Return the row of a log that holds the results of the pairs of one batch.

    Args:
        arrays: {method: arrays of at least len(pairs) pairs}. Errors of cells that are not visible
            are undefined, and stored as 0.
        pairs: a dictionary per pair, see `PairResults`; NaN is stored as None.
    """
    flat: Arrays = {}
    for method, of_method in arrays.items():
        of_pairs = {key: values[: len(pairs)] for key, values in of_method.items()}
        error = np.where(of_pairs["visible"], of_pairs["error"], 0).astype(np.float32)
        of_pairs["error"] = error
        flat |= {f"{method}/{key}": values for key, values in of_pairs.items()}
    return {
        "pairs": [
            {key: None if _is_nan(value) else value for key, value in pair.items()}
            for pair in pairs
        ],
        "results": result_log.encode_arrays(flat),
    }


def _decode(text: str) -> dict[str, Arrays]:
    """Decode the arrays of `to_row`, {method: arrays}."""
    arrays: dict[str, Arrays] = {}
    for name, values in result_log.decode_arrays(text).items():
        method, _, key = name.rpartition("/")
        arrays.setdefault(method, {})[key] = values
    return arrays


def _summarise(
    arrays: Arrays, weights: NDArray[np.float64], fingers: list[tuple[str, str]]
) -> Metrics:
    """Compute the metrics of a group of pairs and their intervals."""
    values, intervals = accuracy.summarise(arrays), accuracy.intervals(arrays, weights)
    genuine = np.asarray(arrays["genuine"], bool)
    of_kinds = [
        count_fingers([fingers[k] for k in np.flatnonzero(kind)]) for kind in (genuine, ~genuine)
    ]
    number = dict.fromkeys(values, count_fingers(fingers))
    number |= dict.fromkeys(accuracy.SCORE_METRICS, min(of_kinds))
    metrics = bootstrap.with_intervals(values, intervals, number, accuracy.SHARES)
    return {"pairs": len(genuine), "fingers": count_fingers(fingers), **metrics}


def _concatenate(parts: list[Arrays]) -> Arrays:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _select(arrays: Arrays, mask: NDArray[np.bool_]) -> Arrays:
    return {key: values[mask] for key, values in arrays.items()}


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
