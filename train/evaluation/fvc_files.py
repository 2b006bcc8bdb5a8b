"""JSON and CSV files of the FVC protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from train.evaluation import score_curves
from train.evaluation.fvc_results import FvcResults
from train.evaluation.output import make_folder, rounded, write_csv, write_summary
from train.evaluation.result_log import Row


def write(results: FvcResults, folder: Path, out: Path, inputs: Row) -> None:
    """Write the results of the FVC protocol.

    fvc.json holds numbers of comparisons, the inputs, and metrics with 95 % intervals by method.
    figures.csv holds the same metrics, scores.csv one line per comparison, det.csv and
    histogram.csv the scores. Undefined metrics are null in JSON and empty in CSV.

    Args:
        results: the results.
        folder: the impressions.
        out: folder of the files.
        inputs: see `fvc.describe_inputs`.
    """
    make_folder(out)
    metrics = {method: rounded(values) for method, values in results.metrics().items()}
    write_csv(out / "figures.csv", [{"method": method, **of} for method, of in metrics.items()])
    measured = [method for method, values in metrics.items() if "confirmed" in values]
    write_csv(
        out / "scores.csv", [_score_row(row, list(metrics), measured) for row in results.rows]
    )
    write_csv(out / "det.csv", score_curves.det_points(results.scores, results.genuine))
    write_csv(out / "histogram.csv", score_curves.histograms(results.scores, results.genuine))
    summary = {"folder": folder.name, **counts(results), **inputs, "methods": metrics}
    write_summary(out / "fvc.json", summary)


def counts(results: FvcResults) -> dict[str, int]:
    """Count fingers, genuine and impostor comparisons, and those that could not be made."""
    return {
        "fingers": len({finger for pair in results.fingers for finger in pair}),
        "genuine": int(results.genuine.sum()),
        "impostor": int((~results.genuine).sum()),
        "failed": len(results.faults),
    }


def _score_row(row: Row, methods: list[str], measured: list[str]) -> dict[str, Any]:
    """Return the line of a comparison: scores of `methods`, confirmed shares of `measured`.

    A cell is empty where there is no score, or no measurement by reference minutiae.
    """
    line: dict[str, Any] = {"a": row["a"], "b": row["b"], "genuine": int(row["genuine"])}
    for method in methods:
        score = row["scores"].get(method)
        line[method] = None if score is None else round(score, 6)
    for method in measured:
        of_map = row["minutiae"].get(method)
        line[f"{method}: confirmed"] = None if of_map is None else round(of_map["confirmed"], 6)
    return line | {"fault": row["fault"]}
