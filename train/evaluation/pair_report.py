"""HTML page on an evaluation on pairs, and the sections that the page on a run shows too."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model.network.weights import CropGeometry
from model.registration import plot
from model.registration.impression import PreparedImpression
from model.registration.registrar import Registrar
from pipeline.imaging.polarity import Polarity
from pipeline.imaging.preprocess import SegmentedImage
from pipeline.imaging.resolution import WORKING_PPI, ImageResolution
from pipeline.imaging.warp import IDENTITY
from shards import record
from shards.foundation import html
from shards.store import ShardSet
from train.evaluation import bootstrap, pair_plots, score_curves, worst_pairs
from train.evaluation.crop_methods import REGISTERED
from train.evaluation.output import as_text, write_text
from train.evaluation.pair_results import ALL_PAIRS, PairResults
from train.evaluation.result_log import Row
from train.evaluation.worst_pairs import Picture, WorstPairsParameters, plot_worst

COPIES = record.KINDS[0]  # pairs of an image and its own degraded copy
EASY = f"{COPIES} (an image and its own copy: easy)"
TEMPLATE = Path(__file__).parent / "templates/evaluation.html"
RESULT_KEYS = (
    *("methods", "precision_recall", "reliability", "calibration_error", "threshold"),
    "intervals_version",
)


class Column(NamedTuple):
    """A column of the accuracy table."""

    metric: str
    heading: str
    format: str
    better: Callable[..., float]  # min or max


COLUMNS = (
    Column("epe_median", "EPE median", "{:.2f}", min),
    Column("epe_mean", "EPE mean", "{:.2f}", min),
    Column("pck@2", "PCK@2", "{:.1%}", max),
    Column("pck@4", "PCK@4", "{:.1%}", max),
    Column("pck@8", "PCK@8", "{:.1%}", max),
    Column("precision", "precision", "{:.1%}", max),
    Column("recall", "recall", "{:.1%}", max),
    Column("rotation_error_deg", "rotation error", "{:.2f}°", min),
    Column("auc", "AUC", "{:.3f}", max),
    Column("eer", "EER", "{:.1%}", min),
)


def write(
    results: PairResults,
    summary: Row,
    shards: ShardSet,
    out: Path,
    registrar: Registrar,
    parameters: WorstPairsParameters = worst_pairs.DEFAULT,
) -> None:
    """Write report.html: the accuracy of all methods, curves, and the worst pairs.

    Args:
        results: the results.
        summary: content of evaluation.json, see `pair_files.write`.
        shards: the shard set that holds the pairs.
        out: folder of the page.
        registrar: the network that registers the worst pairs once more, for their pictures.
        parameters: how many of the worst pairs are shown.
    """

    def plot_pair(kind: str, rank: int, k: int) -> Picture:
        pair = shards.pairs(summary["split"], [k])[0]
        text = f"{rank}. pair {k}: {pair.image_id_a} × {pair.image_id_b}, {pair.noise}"
        figure = plot_crops(pair, registrar)
        return {"image": html.embed_figure(figure, "jpeg", parameters.jpeg_dpi), "text": text}

    figure = score_curves.plot(results.scores, results.genuine)
    facts = {key: value for key, value in summary.items() if key not in RESULT_KEYS}
    text = html.render(
        TEMPLATE,
        title="Registration of held-out pairs",
        subtitle=f"Shard set {shards.directory}, split {summary['split']}",
        evaluated=f"{summary['pairs']:,} pairs.",
        **accuracy_section(summary),
        curves=html.embed_figure(figure) if figure else None,
        worst=plot_worst(find_worst(results, parameters.count), plot_pair),
        facts=as_text(facts),
        replicas=bootstrap.DEFAULT.replicas,
    )
    write_text(out / "report.html", text)


def find_worst(results: PairResults, count: int) -> dict[str, list[int]]:
    """Return the indices of the worst pairs of each kind.

    Args:
        results: the results.
        count: the most pairs of a kind.

    Returns:
        {"genuine": those with the largest median error of the whole registration, "impostor":
        those with the highest score}.
    """
    arrays = results.arrays[REGISTERED]
    visible_error = np.where(arrays["visible"], arrays["error"], np.nan)
    genuine = np.flatnonzero(results.genuine & arrays["visible"].any(1))
    error = np.nanmedian(visible_error[genuine], axis=1)
    impostor = np.flatnonzero(~results.genuine)
    score = arrays["score"][impostor]
    return {
        "genuine": genuine[np.argsort(-error, kind="stable")][:count].tolist(),
        "impostor": impostor[np.argsort(-score, kind="stable")][:count].tolist(),
    }


def accuracy_section(summary: Row) -> dict[str, Any]:
    """Return the values of accuracy.html, but for the sentence on the pairs ("evaluated").

    Args:
        summary: content of evaluation.json.
    """
    return {
        "methods": list(summary["methods"]),
        "columns": [column.heading for column in COLUMNS],
        "accuracy": accuracy_table(summary["methods"]),
        "groups": group_table(summary["methods"]),
        "conditions": html.embed_figure(pair_plots.plot_conditions(summary)),
        "easy": _easy_text(summary["methods"]),
        "threshold": summary.get("threshold"),
        "min_fingers": bootstrap.DEFAULT.min_fingers,
        "fingers": next(iter(summary["methods"].values()))[ALL_PAIRS]["fingers"],
        "calibration": html.format_number(summary["calibration_error"], "{:.3f}"),
    }


def accuracy_table(methods: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row per method with its metrics over all pairs, the best of a column marked.

    Args:
        methods: {method: {group: metrics}} of evaluation.json.
    """
    metrics = {method: groups[ALL_PAIRS] for method, groups in methods.items()}
    rows: dict[str, Any] = {method: {"method": method, "cells": []} for method in methods}
    for column in COLUMNS:
        values = {method: of[column.metric] for method, of in metrics.items()}
        defined = [value for value in values.values() if value is not None]
        best = column.better(defined) if defined else None
        for method, value in values.items():
            cell = {
                "text": html.format_number(value, column.format),
                "interval": _interval_text(metrics[method], column),
                "best": value is not None and value == best,
            }
            rows[method]["cells"].append(cell)
    return list(rows.values())


def group_table(methods: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row per group with the median EPE and PCK at 8 px of every method.

    Args:
        methods: {method: {group: metrics}} of evaluation.json. Groups without a true map, such as
            the impostor pairs, have no row.
    """
    rows = []
    for name, first in next(iter(methods.values())).items():
        if name == ALL_PAIRS or first["epe_median"] is None:
            continue
        cells = []
        for groups in methods.values():
            error, share = groups[name]["epe_median"], groups[name]["pck@8"]
            cells.append(
                f"{html.format_number(error, '{:.2f}')} / {html.format_number(share, '{:.0%}')}"
            )
        shown = EASY if name == COPIES else name
        rows.append({"name": shown, "pairs": first["pairs"], "cells": cells})
    return rows


def _easy_text(methods: dict[str, Any]) -> str:
    """Return how many pairs are an image and its own copy, as a sentence; empty without any."""
    groups = next(iter(methods.values()))
    easy, total = groups.get(COPIES), groups[ALL_PAIRS]["pairs"]
    if not easy:
        return ""
    shares = ", ".join(
        f"{method} {html.format_number(of[COPIES]['pck@8'], '{:.0%}')}"
        for method, of in methods.items()
    )
    return (
        f"{easy['pairs']:,} of the {total:,} pairs are an image and its own degraded copy, which"
        f" are easy: the same ridges, pixel by pixel (PCK@8: {shares}). Pairs of two impressions"
        " show how well a method registers."
    )


def crop_as_impression(image: NDArray[np.uint8], geometry: CropGeometry) -> PreparedImpression:
    """Prepare a crop of a record as if it were, at 500 ppi, an image file.

    Args:
        image: uint8 [H, W].
        geometry: its extent at 500 ppi and size.
    """
    size = (geometry.crop, geometry.crop)
    enlarged = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    foreground, centre = np.ones(size, bool), (geometry.crop - 1) / 2
    prepared = SegmentedImage(enlarged, foreground, IDENTITY, (centre, centre))
    resolution = ImageResolution(WORKING_PPI, "record")
    return PreparedImpression(size, prepared, resolution, Polarity.DARK)


def _interval_text(values: dict[str, Any], column: Column) -> str:
    """Return an interval such as "2.9–9.8"; empty where it is undefined."""
    numbers = [values.get(column.metric + end) for end in ("", "_low", "_high")]
    value, low, high = [math.nan if number is None else number for number in numbers]
    return bootstrap.format_interval(value, low, high, column.format.rstrip("°"))


def plot_crops(pair: record.Pair, registrar: Registrar) -> Figure:
    """Register the crops of a record and plot the registration."""
    a = crop_as_impression(pair.image_a, registrar.geometry)
    b = crop_as_impression(pair.image_b, registrar.geometry)
    registration = registrar.register_impressions(a, b)
    return plot.plot_registration(
        a.prepared.image, b.prepared.image, registration, (a.foreground, b.foreground)
    )
