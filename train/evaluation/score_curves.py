"""How well scores tell one finger from two: error rates by threshold, histograms, their drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from numpy.typing import NDArray

from shards.foundation import html
from train.evaluation import error_rates

BINS = 40  # of a histogram
FLOOR = 1e-4  # of the DET curve's axes, where a rate is 0
COLOURS = ("#1f5fa8", "#c4572b", "#5c8a3a", "#7a5195", "#8a6d1f")

Scores = Mapping[str, NDArray[np.float64]]  # [P] by method; -inf where there is none
Genuine = NDArray[np.bool_]  # [P]
Rows = list[dict[str, Any]]


def trade_off(scores: Scores, genuine: Genuine) -> Rows:
    """A row a method and threshold: both error rates; none where a kind of pair is missing."""
    if not _both(scores, genuine):
        return []
    rows = []
    for method, score in scores.items():
        found = error_rates.compute(score, genuine)
        for each in zip(found.threshold, found.fmr, found.fnmr, strict=True):
            threshold, fmr, fnmr = (round(float(value), 6) for value in each)
            rows.append({"method": method, "threshold": threshold, "fmr": fmr, "fnmr": fnmr})
    return rows


def histograms(scores: Scores, genuine: Genuine) -> Rows:
    """A row a method and bin of its scores: how many genuine and impostor pairs."""
    rows = []
    for method, score in scores.items():
        known = np.isfinite(score)
        edges = np.histogram_bin_edges(score[known], BINS)
        counts = [np.histogram(score[known & of], edges)[0] for of in (genuine, ~genuine)]
        for low, high, same, other in zip(edges, edges[1:], *counts, strict=False):
            ends = {"low": round(float(low), 6), "high": round(float(high), 6)}
            rows.append({"method": method, **ends, "genuine": int(same), "impostor": int(other)})
    return rows


def draw(scores: Scores, genuine: Genuine) -> Figure | None:
    """The DET curves of all methods and the histogram of each; None where a kind is missing."""
    if not _both(scores, genuine):
        return None
    figure = Figure(figsize=(11, 6.4), dpi=120, layout="constrained")
    rows = figure.add_gridspec(2, 1, height_ratios=[1.6, 1])
    top, bottom = (figure.add_subfigure(row) for row in (rows[0], rows[1]))
    _draw_trade_off(top.subplots(), scores, genuine)
    counted = histograms(scores, genuine)
    panels = np.atleast_1d(bottom.subplots(1, len(scores)))
    for axes, method in zip(panels, scores, strict=True):
        _draw_histogram(axes, [row for row in counted if row["method"] == method])
        axes.set_title(method, fontsize=10 if len(scores) < 5 else 8)
    return figure


def _draw_trade_off(det: Axes, scores: Scores, genuine: Genuine) -> None:
    for (method, score), colour in zip(scores.items(), COLOURS, strict=False):
        found = error_rates.compute(score, genuine)
        fmr, fnmr = np.maximum(found.fmr, FLOOR), np.maximum(found.fnmr, FLOOR)
        det.plot(fmr, fnmr, label=method, color=colour, drawstyle="steps-pre")
    det.plot([FLOOR, 1], [FLOOR, 1], color="#999", linewidth=0.7, linestyle=":")
    det.set(xscale="log", yscale="log", xlim=(FLOOR, 1), ylim=(FLOOR, 1), title="DET")
    det.set(xlabel="false match rate", ylabel="false non-match rate", aspect="equal")
    for axis in (det.xaxis, det.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda rate, _: f"{100 * rate:g} %"))
    det.legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
    html.style_axes(det)


def _draw_histogram(axes: Axes, bins: Rows) -> None:
    """The rows of one method, each kind as shares of its number."""
    edges = [bins[0]["low"], *(row["high"] for row in bins)]
    for kind, colour in (("genuine", COLOURS[0]), ("impostor", COLOURS[1])):
        counts = np.array([row[kind] for row in bins], float)
        axes.stairs(counts / max(counts.sum(), 1), edges, fill=True, alpha=0.55, color=colour)
        axes.stairs(counts / max(counts.sum(), 1), edges, color=colour, label=kind)
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.set_xlabel("score", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    html.style_axes(axes)


def _both(scores: Scores, genuine: Genuine) -> bool:
    return bool(scores) and bool(genuine.any()) and not genuine.all()
