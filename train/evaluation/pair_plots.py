"""Plots of the accuracy by condition, and of the network's confidence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shards.foundation import html
from train.evaluation import colours, strata
from train.evaluation.crop_methods import NETWORK
from train.evaluation.pair_results import ALL_PAIRS


def plot_conditions(summary: dict[str, Any]) -> Figure:
    """Plot PCK at 4 px by condition, precision against recall, and reliability.

    Args:
        summary: content of evaluation.json, see `pair_files.write`.
    """
    figure = Figure(figsize=(12, 6.4), dpi=110, layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    for axes, name in zip(panels, strata.CONDITIONS, strict=False):
        _plot_condition(axes, name, summary["methods"])
    precision_recall, reliability = panels[len(strata.CONDITIONS) :]
    _plot_precision_recall(precision_recall, summary)
    _plot_reliability(reliability, summary["reliability"])
    for axes in panels:
        html.style_axes(axes)
    panels[0].legend(frameon=False, fontsize=8)
    return figure


def _plot_condition(axes: Axes, condition: str, methods: dict[str, Any]) -> None:
    """Plot PCK at 4 px with its 95 % interval over the groups of a condition, by method."""
    first = next(iter(methods.values()))
    names = [group for group in first if group.startswith(f"{condition} ")]
    position = np.arange(len(names), dtype=float)
    colour = colours.method_colours(list(methods))
    for k, (method, groups) in enumerate(methods.items()):
        metrics = [groups[name] for name in names]
        # apart, so that the intervals of the methods do not cover each other
        places = position + 0.05 * (k - (len(methods) - 1) / 2)
        shade = colour[method]
        axes.plot(places, _values(metrics, "pck@4"), "o-", markersize=4, label=method, color=shade)
        low, high = _values(metrics, "pck@4_low"), _values(metrics, "pck@4_high")
        axes.vlines(places, low, high, alpha=0.4, color=shade)
    labels = [f"{name.removeprefix(condition + ' ')}\n({first[name]['pairs']})" for name in names]
    axes.set_xticks(position, labels, fontsize=8)
    axes.set(title=f"PCK at 4 px by {condition} (pairs)", ylim=(0, 1.02))


def _plot_precision_recall(axes: Axes, summary: dict[str, Any]) -> None:
    """Plot the curve of the network's confidence, and the kept matches of each method."""
    points = summary["precision_recall"]
    recall, precision = [[point[key] for point in points] for key in ("recall", "precision")]
    colour = colours.method_colours(list(summary["methods"]))
    axes.plot(recall, precision, color=colours.METHODS[NETWORK])
    for method, groups in summary["methods"].items():
        metrics = groups[ALL_PAIRS]
        if metrics["precision"] is not None and metrics["recall"] is not None:
            axes.plot(metrics["recall"], metrics["precision"], "o", color=colour[method])
    axes.set(title="Matches right to 8 px", xlabel="recall", ylabel="precision")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))


def _plot_reliability(axes: Axes, rows: list[dict[str, float]]) -> None:
    """Plot the share of right matches against the probability that registration states."""
    axes.plot([0, 1], [0, 1], color="#999", linewidth=0.8, linestyle=":")
    axes.plot(
        [row["confidence"] for row in rows],
        [row["right"] for row in rows],
        "o-",
        color=colours.METHODS[NETWORK],
    )
    axes.set(
        title="Reliability of the match probability",
        xlabel="probability of a match",
        ylabel="share right",
    )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))


def _values(metrics: list[dict[str, Any]], name: str) -> list[float]:
    """Return one metric of several groups, NaN where it is undefined."""
    return [math.nan if of.get(name) is None else of[name] for of in metrics]
