"""DET curves and score histograms of methods: as tables, and as one figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from numpy.typing import NDArray

from shards.foundation import html
from train.evaluation import colours, error_rates

Scores = Mapping[str, NDArray[np.float64]]  # [P] by method; -inf where there is none
Genuine = NDArray[np.bool_]  # [P]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class ScoreCurveParameters:
    """Settings of the curves."""

    bins: int = 40  # of a histogram; chosen
    lowest_rate: float = 1e-4  # on the logarithmic axes of the DET curve, in place of 0; chosen


DEFAULT = ScoreCurveParameters()


def det_points(scores: Scores, genuine: Genuine) -> Rows:
    """Return rows of method, threshold, FMR and FNMR; none without both kinds of pairs."""
    if not _both_kinds(scores, genuine):
        return []
    rows = []
    for method, score in scores.items():
        rates = error_rates.compute(score, genuine)
        for point in zip(rates.threshold, rates.fmr, rates.fnmr, strict=True):
            threshold, fmr, fnmr = [round(float(value), 6) for value in point]
            rows.append({"method": method, "threshold": threshold, "fmr": fmr, "fnmr": fnmr})
    return rows


def histograms(
    scores: Scores, genuine: Genuine, parameters: ScoreCurveParameters = DEFAULT
) -> Rows:
    """Return rows of method, ends of a bin, and its numbers of genuine and impostor pairs."""
    rows = []
    for method, score in scores.items():
        finite = np.isfinite(score)
        edges = np.histogram_bin_edges(score[finite], parameters.bins)
        genuine_counts = np.histogram(score[finite & genuine], edges)[0]
        impostor_counts = np.histogram(score[finite & ~genuine], edges)[0]
        for k in range(len(edges) - 1):
            rows.append(
                {
                    "method": method,
                    "low": round(float(edges[k]), 6),
                    "high": round(float(edges[k + 1]), 6),
                    "genuine": int(genuine_counts[k]),
                    "impostor": int(impostor_counts[k]),
                }
            )
    return rows


def plot(
    scores: Scores, genuine: Genuine, parameters: ScoreCurveParameters = DEFAULT
) -> Figure | None:
    """Plot the DET curves of all methods and the histogram of each.

    Returns:
        None without pairs of both kinds.
    """
    if not _both_kinds(scores, genuine):
        return None
    figure = Figure(figsize=(11, 6.4), dpi=120, layout="constrained")
    rows = figure.add_gridspec(2, 1, height_ratios=[1.6, 1])
    top, bottom = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
    _plot_det(top.subplots(), scores, genuine, parameters.lowest_rate)
    bins = histograms(scores, genuine, parameters)
    panels = np.atleast_1d(bottom.subplots(1, len(scores)))
    for axes, method in zip(panels, scores, strict=True):
        _plot_histogram(axes, [row for row in bins if row["method"] == method])
        axes.set_title(method, fontsize=10 if len(scores) < 5 else 8)
    return figure


def _plot_det(axes: Axes, scores: Scores, genuine: Genuine, lowest: float) -> None:
    """Plot the DET curve of each method, with a mark at its equal error rate.

    Curves and marks are not cut off at the frame, so that a method without errors is visible: its
    curve follows the frame and its mark is in the corner.
    """
    colour = colours.method_colours(list(scores))
    for method, score in scores.items():
        rates = error_rates.compute(score, genuine)
        fmr, fnmr = np.maximum(rates.fmr, lowest), np.maximum(rates.fnmr, lowest)
        eer = rates.eer()
        label = f"{method} (EER {eer:.1%})" if eer else f"{method} (no error)"
        style: dict[str, Any] = {"color": colour[method], "clip_on": False, "zorder": 3}
        axes.plot(fmr, fnmr, label=label, drawstyle="steps-pre", linewidth=2, **style)
        axes.plot(max(eer, lowest), max(eer, lowest), "o", **style)
    axes.plot([lowest, 1], [lowest, 1], color="#999", linewidth=0.7, linestyle=":")
    axes.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest, 1), title="DET")
    axes.set(xlabel="false match rate", ylabel="false non-match rate", aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda rate, _: f"{100 * rate:g} %"))
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
    html.style_axes(axes)


def _plot_histogram(axes: Axes, bins: Rows) -> None:
    """Plot the histogram of one method, each kind of pairs as shares of its number."""
    edges = [bins[0]["low"], *(row["high"] for row in bins)]
    for kind, colour in (("genuine", colours.GENUINE), ("impostor", colours.IMPOSTOR)):
        counts = np.array([row[kind] for row in bins], float)
        axes.stairs(counts / max(counts.sum(), 1), edges, fill=True, alpha=0.55, color=colour)
        axes.stairs(counts / max(counts.sum(), 1), edges, color=colour, label=kind)
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.set_xlabel("score", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    html.style_axes(axes)


def _both_kinds(scores: Scores, genuine: Genuine) -> bool:
    """Return whether there are scores of genuine and of impostor pairs."""
    return bool(scores) and bool(genuine.any()) and not genuine.all()
