"""HTML page and console table of the FVC protocol."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model.registration import plot
from model.registration.registrar import Registrar
from pipeline.imaging import file
from shards.foundation import html
from shards.foundation.progress import Progress
from shards.foundation.text_table import format_table
from train.evaluation import bootstrap, fvc_files, pair_report, score_curves
from train.evaluation.file_methods import NETWORK
from train.evaluation.fvc_results import FvcResults
from train.evaluation.output import as_text, make_folder
from train.evaluation.pair_report import Picture, ReportParameters
from train.evaluation.result_log import Row

TEMPLATE = Path(__file__).parent / "templates/fvc.html"
WORST = "worst"  # folder of the pictures


class Column(NamedTuple):
    """A column of a table."""

    metric: str
    heading: str
    format: str


SCORE_COLUMNS = (
    Column("eer", "EER", "{:.1%}"),
    Column("fmr100", "FMR100", "{:.1%}"),
    Column("fmr1000", "FMR1000", "{:.1%}"),
    Column("zero_fmr", "ZeroFMR", "{:.1%}"),
    Column("auc", "AUC", "{:.4f}"),
)
MINUTIAE_COLUMNS = (
    Column("confirmed", "confirmed", "{:.3f}"),
    Column("aligned", "aligned", "{:.1%}"),
    Column("residual", "residual, px", "{:.2f}"),
)


def write(
    results: FvcResults,
    folder: Path,
    out: Path,
    inputs: Row,
    registrar: Registrar,
    parameters: ReportParameters = pair_report.DEFAULT,
) -> None:
    """Write report.html and the pictures worst/*.png.

    Args:
        results: the results.
        folder: the impressions.
        out: folder of the page.
        inputs: see `fvc.describe_inputs`.
        registrar: the network that registers the worst comparisons once more, for their pictures.
        parameters: settings.
    """
    make_folder(out / WORST)
    metrics = results.metrics()
    figure = score_curves.plot(results.scores, results.genuine)
    text = html.render(
        TEMPLATE,
        title="Verification by the FVC protocol",
        folder=folder.name,
        counts=fvc_files.counts(results),
        scores=_table(metrics, SCORE_COLUMNS),
        minutiae=_table(metrics, MINUTIAE_COLUMNS),
        curves=html.embed_figure(figure) if figure else None,
        worst=plot_worst(results, folder, out / WORST, registrar, inputs["ppi"], parameters),
        faults=results.faults,
        facts=as_text(inputs),
        replicas=bootstrap.DEFAULT.replicas,
    )
    (out / "report.html").write_text(text, encoding="utf-8")


def console_table(results: FvcResults) -> str:
    """Return the metrics as text for the console, one line per method."""
    metrics = results.metrics()
    columns = [
        column
        for column in (*SCORE_COLUMNS, *MINUTIAE_COLUMNS)
        if any(column.metric in values for values in metrics.values())
    ]
    headings = ["", *(column.heading for column in columns)]
    rows = [
        [method, *(_cell(values, column) for column in columns)]
        for method, values in metrics.items()
    ]
    return format_table([headings, *rows])


def worst_comparisons(
    results: FvcResults, count: int = pair_report.DEFAULT.worst_pairs, method: str = NETWORK
) -> dict[str, list[int]]:
    """Return the indices of the worst comparisons that could be made.

    Returns:
        {"genuine": those with the lowest scores, "impostor": those with the highest}, at most
        `count` each; empty where the method has no scores.
    """
    score = results.scores.get(method, np.zeros(0))
    if not len(score):
        return {}
    order = [k for k in np.argsort(score, kind="stable").tolist() if math.isfinite(score[k])]
    genuine = [k for k in order if results.genuine[k]]
    impostor = [k for k in reversed(order) if not results.genuine[k]]
    return {"genuine": genuine[:count], "impostor": impostor[:count]}


def plot_worst(
    results: FvcResults,
    folder: Path,
    out: Path,
    registrar: Registrar,
    ppi: float | None,
    parameters: ReportParameters = pair_report.DEFAULT,
) -> dict[str, list[Picture]]:
    """Register the worst comparisons once more and plot them.

    Args:
        results: the results.
        folder: the impressions.
        out: folder of the PNG files.
        registrar: the network.
        ppi: resolution of all files, None if each file states its own.
        parameters: number of comparisons, resolution of the pictures in the page.

    Returns:
        {kind: smaller pictures for the page}.
    """
    worst = worst_comparisons(results, parameters.worst_pairs)
    pictures: dict[str, list[Picture]] = {kind: [] for kind in worst}
    with Progress("plot the worst", sum(map(len, worst.values())), "pairs") as progress:
        for kind, indices in worst.items():
            for rank, k in enumerate(indices, 1):
                row = results.rows[k]
                a, b = folder / row["a"], folder / row["b"]
                registration = registrar.register_impressions(
                    registrar.prepare_file(a, ppi), registrar.prepare_file(b, ppi)
                )
                figure = plot.plot_registration(file.load(a), file.load(b), registration)
                figure.savefig(out / f"{kind}_{rank:02d}.png", format="png")
                image = html.embed_figure(figure, "jpeg", parameters.jpeg_dpi)
                text = f"{rank}. {row['a']} × {row['b']}: score {row['scores'][NETWORK]:.3f}"
                pictures[kind].append({"image": image, "text": text})
                progress.advance()
    return pictures


def _table(metrics: dict[str, dict[str, float]], columns: Sequence[Column]) -> Any:
    """Return headings and rows of a table; None where no method has any of its metrics."""
    if not any(columns[0].metric in values for values in metrics.values()):
        return None
    headings = ["method", *(column.heading for column in columns)]
    rows = [
        [method, *(_cell(values, column) for column in columns)]
        for method, values in metrics.items()
    ]
    return {"headings": headings, "rows": rows}


def _cell(values: dict[str, float], column: Column) -> str:
    """Return a metric with its interval in brackets, as text."""
    value = values.get(column.metric, math.nan)
    low = values.get(f"{column.metric}_low", math.nan)
    high = values.get(f"{column.metric}_high", math.nan)
    if math.isnan(low):
        return html.format_number(value, column.format)
    ends = f"{column.format.format(low)}–{column.format.format(high)}"
    return f"{column.format.format(value)} ({ends})"
