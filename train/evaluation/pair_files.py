"""What is written of an evaluation: figures, pairs and curves as CSV and JSON."""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from shards.foundation.errors import Fault, Misuse
from train.evaluation import confidence, score_curves, strata
from train.evaluation.pairs import NETWORK, Evaluation, Figures
from train.evaluation.result_log import Row

SUMMARY, PAIRS = "evaluation.json", "pairs.csv"


def write(evaluation: Evaluation, out: Path, facts: Row) -> Row:
    """OUT/evaluation.json (facts, then figures by method and group), and as CSV figures, pairs,
    precision_recall and reliability (of the network's matches by the probability that registering
    gives them), det and histogram (of the scores).

    Figures that are undefined are null, and empty in the CSV. Returns what evaluation.json holds.
    """
    make_folder(out)
    figures = {
        method: {group: _plain(found) for group, found in groups.items()}
        for method, groups in evaluation.figures.items()
    }
    rows = [
        {"method": method, "group": group, **found}
        for method, groups in figures.items()
        for group, found in groups.items()
    ]
    write_table(out / "figures.csv", rows)
    write_table(out / PAIRS, [_row(evaluation, k) for k in range(len(evaluation.about))])
    network = evaluation.results[NETWORK]
    judged = {
        "precision_recall": confidence.precision_recall(network),
        "reliability": confidence.reliability(network),
    }
    for name, points in judged.items():
        write_table(out / f"{name}.csv", [_plain(point) for point in points])
    scored = evaluation.scores, evaluation.genuine
    write_table(out / "det.csv", score_curves.trade_off(*scored))
    write_table(out / "histogram.csv", score_curves.histograms(*scored))
    error = _plain({"calibration_error": confidence.calibration_error(judged["reliability"])})
    report = {**facts, "pairs": len(evaluation.about), **error, **judged, "methods": figures}
    (out / SUMMARY).write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")  # last of all
    return report


def read(out: Path, facts: Row) -> tuple[dict[str, Any], list[dict[str, str]]] | None:
    """evaluation.json and the rows of pairs.csv in a folder; None unless made of just `facts`."""
    try:
        report = json.loads((out / SUMMARY).read_text())
        if any(report.get(key) != value for key, value in facts.items()):
            return None
        with (out / PAIRS).open(newline="") as file:
            return report, list(csv.DictReader(file))
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """Make the folder of an answer, and let the work begin whose answer is written there.

    Misuse where there can be no folder, Fault where the disk takes no more of it.
    """
    make_folder(out)
    try:
        yield
    except OSError as error:
        raise Fault(
            f"{out}: cannot be written: {error}; what was compared is kept: make room, "
            "then the same command goes on"
        ) from error


def make_folder(path: Path) -> None:
    """Make the folder of an answer; Misuse where a file is in its way, or it is not allowed."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misuse(f"{path}: no folder can be made here: {error.strerror}") from error


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """A CSV file of rows that all have the keys of the first; an empty one where there are none."""
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _plain(figures: Figures) -> dict[str, Any]:
    """Figures of which those that are undefined are None."""
    return {k: round(v, 6) if math.isfinite(v) else None for k, v in figures.items()}


def _row(evaluation: Evaluation, k: int) -> dict[str, Any]:
    """Pair k: its ids, and each method's median error over its visible cells and score."""
    about = evaluation.about[k]
    row: dict[str, Any] = {"pair": k, **about, **_plain({n: about[n] for n in strata.BINS})}
    for method, arrays in evaluation.results.items():
        seen = arrays["error"][k][arrays["visible"][k]]
        row[f"{method}: median error"] = round(float(np.median(seen)), 4) if len(seen) else None
        row[f"{method}: score"] = round(float(arrays["score"][k]), 6)
    return row
