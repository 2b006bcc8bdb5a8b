"""HTML page and console table of the FVC protocol."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from model.registration import plot
from model.registration.registrar import Registrar
from pipeline.imaging import file
from pipeline.imaging.resolution import by_option
from shards.foundation import html
from shards.foundation.text_table import format_table
from train.evaluation import bootstrap, fvc_files, score_curves, worst_pairs
from train.evaluation.file_methods import NETWORK
from train.evaluation.fvc_results import FvcResults
from train.evaluation.output import as_text, make_folder, write_text
from train.evaluation.result_log import Row
from train.evaluation.worst_pairs import Picture, WorstPairsParameters, plot_worst

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
    parameters: WorstPairsParameters = worst_pairs.DEFAULT,
) -> None:
    """Write report.html and the pictures worst/*.png.

    Args:
        results: the results.
        folder: the impressions.
        out: folder of the page.
        inputs: see `fvc.describe_inputs`.
        registrar: the network that registers the worst comparisons once more, for their pictures.
        parameters: how many of the worst comparisons are shown.
    """
    make_folder(out / WORST)

    def plot_pair(kind: str, rank: int, k: int) -> Picture:
        row = results.rows[k]
        figure = _plot_files(folder / row["a"], folder / row["b"], registrar, inputs["ppi"])
        figure.savefig(out / WORST / f"{kind}_{rank:02d}.png", format="png")
        text = f"{rank}. {row['a']} × {row['b']}: score {row['scores'][NETWORK]:.3f}"
        return {"image": html.embed_figure(figure, "jpeg", parameters.jpeg_dpi), "text": text}

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
        worst=plot_worst(find_worst(results, parameters.count), plot_pair),
        faults=results.faults,
        facts=as_text(inputs),
        replicas=bootstrap.DEFAULT.replicas,
        min_fingers=bootstrap.DEFAULT.min_fingers,
        threshold=_threshold(results),
    )
    write_text(out / "report.html", text)


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
        [method, *(cell(values, column) for column in columns)]
        for method, values in metrics.items()
    ]
    notes = []
    if fvc_files.counts(results)["fingers"] < bootstrap.DEFAULT.min_fingers:
        notes.append(f"fewer than {bootstrap.DEFAULT.min_fingers} fingers: no intervals")
    threshold = _threshold(results)
    return "\n".join([format_table([headings, *rows]), *notes, *([threshold] if threshold else [])])


def _threshold(results: FvcResults) -> str | None:
    """Return the recommended threshold of the network's score in words, if there is one."""
    return str(results.threshold(NETWORK) or "") if NETWORK in results.scores else None


def find_worst(results: FvcResults, count: int = worst_pairs.DEFAULT.count) -> dict[str, list[int]]:
    """Return the indices of the worst comparisons of the network that could be made.

    Returns:
        {"genuine": those with the lowest scores, "impostor": those with the highest}, at most
        `count` each; empty without scores.
    """
    score = results.scores.get(NETWORK, np.zeros(0))
    if not len(score):
        return {}
    order = [k for k in np.argsort(score, kind="stable").tolist() if math.isfinite(score[k])]
    genuine = [k for k in order if results.genuine[k]]
    impostor = [k for k in reversed(order) if not results.genuine[k]]
    return {"genuine": genuine[:count], "impostor": impostor[:count]}


def _plot_files(path_a: Path, path_b: Path, registrar: Registrar, ppi: float | None) -> Figure:
    """Register two files once more and plot them; at their own resolution if `ppi` is None."""
    known = by_option(ppi)
    a, b = registrar.prepare_file(path_a, known), registrar.prepare_file(path_b, known)
    registration = registrar.register_impressions(a, b)
    image_a, image_b = file.load(path_a).stored, file.load(path_b).stored
    return plot.plot_registration(image_a, image_b, registration, (a.foreground, b.foreground))


def _table(metrics: dict[str, dict[str, float]], columns: Sequence[Column]) -> Any:
    """Return headings and rows of a table; None where no method has any of its metrics."""
    if not any(columns[0].metric in values for values in metrics.values()):
        return None
    headings = ["method", *(column.heading for column in columns)]
    rows = [
        [method, *(cell(values, column) for column in columns)]
        for method, values in metrics.items()
    ]
    return {"headings": headings, "rows": rows}


def cell(values: dict[str, float], column: Column) -> str:
    """Return a metric with its interval in brackets, as text."""
    value = values.get(column.metric, math.nan)
    low = values.get(f"{column.metric}_low", math.nan)
    high = values.get(f"{column.metric}_high", math.nan)
    ends = bootstrap.format_interval(value, low, high, column.format)
    return html.format_number(value, column.format) + (f" ({ends})" if ends else "")
