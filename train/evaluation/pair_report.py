"""One self-contained page on an evaluation, and the parts of it that a run's page shows too."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model.network import weights
from model.registration import plot
from model.registration.impression import PreparedImpression
from model.registration.registrar import Registrar
from pipeline.imaging.preprocess import Prepared
from pipeline.imaging.warp import IDENTITY
from shards import record
from shards.foundation import html
from shards.foundation.progress import Progress
from shards.store import ShardSet
from train.evaluation import bootstrap, score_curves, strata
from train.evaluation.pairs import REGISTERED, Evaluation
from train.evaluation.result_log import Row

WORST = 10  # pairs of a kind that are drawn

# Figure, heading, format, and whether more or less of it is better.
COLUMNS: tuple[tuple[str, str, str, Callable[..., float]], ...] = (
    ("epe_median", "EPE median", "{:.2f}", min),
    ("epe_mean", "EPE mean", "{:.2f}", min),
    ("pck@2", "PCK@2", "{:.1%}", max),
    ("pck@4", "PCK@4", "{:.1%}", max),
    ("pck@8", "PCK@8", "{:.1%}", max),
    ("precision", "precision", "{:.1%}", max),
    ("recall", "recall", "{:.1%}", max),
    ("rotation_error_deg", "rotation error", "{:.2f}°", min),
    ("auc", "AUC", "{:.3f}", max),
    ("eer", "EER", "{:.1%}", min),
)


def write(
    evaluation: Evaluation, report: Row, shards: ShardSet, out: Path, registrar: Registrar
) -> None:
    """OUT/report.html: a `report` of `pair_files.write`, curves, and the worst pairs drawn."""
    drawn = score_curves.draw(evaluation.scores, evaluation.genuine)
    facts = {key: value for key, value in report.items() if isinstance(value, str | int)}
    text = html.render(
        Path(__file__).parent / "templates/evaluation.html",
        title="Registration of held-out pairs",
        subtitle=f"Shard set {shards.directory}, split {report['split']}",
        evaluated=f"{report['pairs']:,} pairs.",
        **section(report),
        curves=html.embed_figure(drawn) if drawn else None,
        worst=_draw_worst(evaluation, shards, report["split"], registrar),
        facts=facts,
        replicas=bootstrap.DEFAULT.replicas,
    )
    (out / "report.html").write_text(text, encoding="utf-8")


def worst(evaluation: Evaluation) -> dict[str, list[int]]:
    """The genuine pairs with the largest median error, the impostor pairs that score most."""
    of = evaluation.results[REGISTERED]
    seen = np.where(of["visible"], of["error"], np.nan)
    known = np.flatnonzero(evaluation.genuine & of["visible"].any(1))
    error = np.nanmedian(seen[known], axis=1)
    other = np.flatnonzero(~evaluation.genuine)
    return {
        "genuine": known[np.argsort(-error, kind="stable")][:WORST].tolist(),
        "impostor": other[np.argsort(-of["score"][other], kind="stable")][:WORST].tolist(),
    }


def _draw_worst(
    evaluation: Evaluation, shards: ShardSet, split: str, registrar: Registrar
) -> dict[str, list[dict[str, str]]]:
    """The worst pairs as `model.registration.registrar` sees them, for a page."""
    chosen = worst(evaluation)
    drawn: dict[str, list[dict[str, str]]] = {kind: [] for kind in chosen}
    with Progress("draw the worst", sum(map(len, chosen.values())), "pairs") as progress:
        for kind, indices in chosen.items():
            for rank, k in enumerate(indices, 1):
                pair = record.decode(shards.read(split, [k])[0])
                a, b = (
                    as_print(image, registrar.geometry) for image in (pair.image_a, pair.image_b)
                )
                found = registrar.register_impressions(a, b)
                figure = plot.plot_registration(a.prepared.image, b.prepared.image, found)
                text = f"{rank}. pair {k}: {pair.image_id_a} × {pair.image_id_b}, {pair.noise}"
                drawn[kind].append({"image": html.embed_figure(figure, "jpeg", 62), "text": text})
                progress.advance()
    return drawn


def section(report: Row) -> dict[str, Any]:
    """What accuracy.html shows of a `report`, beside the sentence that says on what."""
    return {
        "methods": list(report["methods"]),
        "columns": [heading for _, heading, _, _ in COLUMNS],
        "accuracy": accuracy(report["methods"]),
        "groups": groups(report["methods"]),
        "conditions": conditions_drawn(report),
        "calibration": html.format_number(report["calibration_error"], "{:.3f}"),
    }


def accuracy(methods: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a method over all pairs, the best of each column marked."""
    figures = {method: groups["all"] for method, groups in methods.items()}
    rows: dict[str, Any] = {method: {"method": method, "cells": []} for method in methods}
    for key, _, form, better in COLUMNS:
        known = [found[key] for found in figures.values() if found[key] is not None]
        for method, found in figures.items():
            best = found[key] is not None and found[key] == better(known)
            ends = [found.get(f"{key}_{end}") for end in ("low", "high")]
            around = "" if None in ends else "–".join(form.format(end).rstrip("%°") for end in ends)
            text = html.format_number(found[key], form)
            rows[method]["cells"].append({"text": text, "around": around, "best": best})
    return list(rows.values())


def groups(methods: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a kind and a noise: median EPE and PCK at 8 px of every method."""
    rows = []
    for name, one in next(iter(methods.values())).items():
        if name != "all" and one["epe_median"] is not None:
            of = [groups[name] for groups in methods.values()]
            cells = [
                f"{html.format_number(f['epe_median'], '{:.2f}')} / {html.format_number(f['pck@8'], '{:.0%}')}"
                for f in of
            ]
            rows.append({"name": name, "pairs": one["pairs"], "cells": cells})
    return rows


def conditions_drawn(report: dict[str, Any]) -> str:
    """PCK at 4 px by what makes a pair hard, and the network's confidence judged."""
    figure = Figure(figsize=(12, 6.4), dpi=110, layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    for axes, name in zip(panels, strata.BINS, strict=False):
        _draw_condition(axes, name, report["methods"])
    curve, calibration = panels[len(strata.BINS) :]
    points = report["precision_recall"]
    curve.plot([p["recall"] for p in points], [p["precision"] for p in points])
    for k, groups in enumerate(report["methods"].values()):
        one = groups["all"]
        if one["precision"] is not None and one["recall"] is not None:
            curve.plot(one["recall"], one["precision"], "o", color=f"C{k}")
    curve.set(title="Matches right to 8 px", xlabel="recall", ylabel="precision")
    rows = report["reliability"]
    calibration.plot([0, 1], [0, 1], color="#999", linewidth=0.8, linestyle=":")
    calibration.plot([r["confidence"] for r in rows], [r["right"] for r in rows], marker="o")
    calibration.set(
        title="The confidence that registering states",
        xlabel="probability of a match",
        ylabel="share right",
    )
    for axes in (curve, calibration):
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    for axes in panels:
        html.style_axes(axes)
    panels[0].legend(frameon=False, fontsize=8)
    return html.embed_figure(figure)


def _draw_condition(axes: Axes, name: str, methods: dict[str, Any]) -> None:
    """A line a method over the grades of a condition, with its 95 % intervals."""
    every = next(iter(methods.values()))
    grades = [group for group in every if group.startswith(f"{name} ")]
    at = np.arange(len(grades), dtype=float)
    for k, (method, groups) in enumerate(methods.items()):
        of = [groups[grade] for grade in grades]
        middle, low, high = (
            [math.nan if one.get(f"pck@4{end}") is None else one[f"pck@4{end}"] for one in of]
            for end in ("", "_low", "_high")
        )
        (line,) = axes.plot(at, middle, marker="o", markersize=4, label=method)
        axes.vlines(at + 0.05 * (k - 2), low, high, color=line.get_color(), alpha=0.4)
    labels = [f"{g.removeprefix(name + ' ')}\n({every[g]['pairs']})" for g in grades]
    axes.set_xticks(at, labels, fontsize=8)
    axes.set(title=f"PCK at 4 px by {name} (pairs)", ylim=(0, 1.02))


def as_print(image: NDArray[np.uint8], view: weights.CropGeometry) -> PreparedImpression:
    """A crop of a record as the print that it would be if the crop, at 500 ppi, were the file."""
    size = (view.crop, view.crop)
    large = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    whole, middle = np.ones(size, bool), (view.crop - 1) / 2
    prepared = Prepared(large, whole, IDENTITY, (middle, middle))
    return PreparedImpression(size, prepared)
