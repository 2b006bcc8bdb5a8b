"""JSON and CSV files of an evaluation on pairs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from shards.foundation import files
from train.evaluation import bootstrap, confidence, score_curves, strata
from train.evaluation.crop_methods import NETWORK, REGISTERED
from train.evaluation.output import make_folder, rounded, write_csv, write_summary
from train.evaluation.pair_results import PairResults
from train.evaluation.result_log import Row

SUMMARY, PAIRS = "evaluation.json", "pairs.csv"


def write(results: PairResults, out: Path, inputs: Row) -> Row:
    """Write the results of an evaluation on pairs.

    evaluation.json holds the inputs, then metrics by method and group. figures.csv holds the same
    metrics, pairs.csv one line per pair, precision_recall.csv and reliability.csv the network's
    matches by the probability that registration states, det.csv and histogram.csv the scores.
    Undefined metrics are null in JSON and empty in CSV.

    Args:
        results: the results.
        out: the folder.
        inputs: see `pairs.describe_inputs`.

    Returns:
        The content of evaluation.json, which is written last.
    """
    make_folder(out)
    metrics = {
        method: {group: rounded(values) for group, values in groups.items()}
        for method, groups in results.metrics.items()
    }
    rows = [
        {"method": method, "group": group, **values}
        for method, groups in metrics.items()
        for group, values in groups.items()
    ]
    write_csv(out / "figures.csv", rows)
    write_csv(out / PAIRS, [_pair_row(results, k) for k in range(len(results.pairs))])
    curves = {
        "precision_recall": confidence.precision_recall(results.arrays[NETWORK]),
        "reliability": confidence.reliability(results.arrays[NETWORK]),
    }
    for name, points in curves.items():
        write_csv(out / f"{name}.csv", [rounded(point) for point in points])
    write_csv(out / "det.csv", score_curves.det_points(results.scores, results.genuine))
    write_csv(out / "histogram.csv", score_curves.histograms(results.scores, results.genuine))
    error = rounded({"calibration_error": confidence.calibration_error(curves["reliability"])})
    summary = {
        **inputs,
        "intervals_version": bootstrap.INTERVAL_VERSION,
        "pairs": len(results.pairs),
        "threshold": str(results.threshold(REGISTERED) or "") or None,
        **error,
        **curves,
        "methods": metrics,
    }
    write_summary(out / SUMMARY, summary)
    return summary


def read(out: Path, inputs: Row) -> tuple[dict[str, Any], list[dict[str, str]]] | None:
    """Read evaluation.json and the rows of pairs.csv.

    Args:
        out: the folder.
        inputs: see `pairs.describe_inputs`.

    Returns:
        None without these files, or if they were computed from other inputs.
    """
    try:
        summary = json.loads(files.read_bytes(out / SUMMARY))
        expected = {**inputs, "intervals_version": bootstrap.INTERVAL_VERSION}
        if any(summary.get(key) != value for key, value in expected.items()):
            return None
        text = files.read_text(out / PAIRS)
        return summary, list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError):
        return None


def _pair_row(results: PairResults, k: int) -> dict[str, Any]:
    """Return the line of pair `k`: ids, conditions, each method's median error and score."""
    pair = results.pairs[k]
    conditions = rounded({name: pair[name] for name in strata.CONDITIONS})
    row: dict[str, Any] = {"pair": k, **pair, **conditions}
    for method, arrays in results.arrays.items():
        error = arrays["error"][k][arrays["visible"][k]]
        row[f"{method}: median error"] = round(float(np.median(error)), 4) if len(error) else None
        row[f"{method}: score"] = round(float(arrays["score"][k]), 6)
    return row
