"""Compare synthetic with real impressions: distributions of measures, and a classifier.

Both sides are measured by the same code. Two comparisons give the scale of each number: halves of
the real fingers against each other, the least distance to be expected, and real sets against each
other where there are several, the distance between two sensors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ks_2samp, wasserstein_distance

from pipeline.realism.classifier import auc_by_group, cross_validated_auc
from pipeline.realism.impression_set import ImpressionSet, measure_folders
from pipeline.realism.measures import MEASURES
from pipeline.realism.report import render as render_page
from shards.foundation import files
from shards.foundation.errors import Fault, Misuse
from shards.foundation.printable import counted

SPECTRUM = "power spectrum, dB"


@dataclass(frozen=True)
class ComparisonParameters:
    """Settings of the comparison."""

    halvings: int = 10  # random halvings of the real fingers, averaged; chosen


DEFAULT = ComparisonParameters()


def compare(real: Sequence[Path], synthetic: Path, out: Path) -> dict[str, Any]:
    """Compare the impressions below folders and write report.json and report.html.

    Args:
        real: folders of real impressions, measured together.
        synthetic: folder of synthetic impressions.
        out: folder of the report.

    Returns:
        The contents of report.json.

    Raises:
        Misuse: a side has no images or too few fingers, or `out` cannot be written.
    """
    a, b = measure_folders(real), measure_folders([synthetic])
    report = {
        "real": _counts(a),
        "synthetic": _counts(b),
        "auc": _mean_number([_auc(a, b)]),
        "auc_by_features": auc_by_group(a.features, a.crop_fingers, b.features, b.crop_fingers),
        "auc_halves_of_real": _mean_number(_auc(*halves) for halves in _halvings(a)),
        "auc_between_real_sets": _auc_between_partitions(a),
        "distances": distances(a, b),
    }
    try:
        files.write_text(out / "report.json", json.dumps(report, indent=2))
        files.write_text(out / "report.html", render_page(report, a, b))
    except Fault as fault:
        raise Misuse(f"{fault}; choose another --out") from fault
    return report


def summary(report: dict[str, Any]) -> str:
    """Return the main numbers of a report in a few lines."""
    rejected = sum(len(report[side]["rejected"]) for side in ("real", "synthetic"))
    lines = [
        f"AUC of real against synthetic: {_format(report['auc'])}; of two halves of the real "
        f"fingers: {_format(report['auc_halves_of_real'])}",
        *(
            f"AUC of {pair}: {_format(auc)}"
            for pair, auc in report["auc_between_real_sets"].items()
        ),
        f"{'':32}    KS   of real halves",
    ]
    for name, numbers in report["distances"].items():
        if "ks" in numbers:
            halves = _format(numbers["ks_halves_of_real"])
            lines.append(f"{name:32} {_format(numbers['ks'])}   {halves}")
    if rejected:
        lines.append(
            f"left out: {counted(rejected, 'image')} that cannot be used; report.json lists them"
        )
    return "\n".join(lines)


def _format(value: float | None) -> str:
    return "none " if value is None else f"{value:.3f}"


def distances(a: ImpressionSet, b: ImpressionSet) -> dict[str, dict[str, float | None]]:
    """Return the distances of all measures between two sets, and between halves of the first.

    Args:
        a: the real impressions.
        b: the synthetic impressions.

    Returns:
        By measure: the Wasserstein distance in the unit of the measure and the Kolmogorov-Smirnov
        distance ("ks"), each also between "halves_of_real"; of the power spectrum the root mean
        square difference in dB ("rms"). None where a set has no values of a measure, as the
        background of impressions that fill their images.
    """
    between = _distances(a, b)
    of_halves = [_distances(*halves) for halves in _halvings(a)]
    result: dict[str, dict[str, float | None]] = {}
    for name, numbers in between.items():
        result[name] = {key: _mean_number([value]) for key, value in numbers.items()}
        for key in numbers:
            values = [one[name][key] for one in of_halves]
            result[name][f"{key}_halves_of_real"] = _mean_number(values)
    return result


def _distances(a: ImpressionSet, b: ImpressionSet) -> dict[str, dict[str, float]]:
    """Return the distances of all measures between two sets; NaN without values."""
    result = {name: _distribution_distances(a.values(name), b.values(name)) for name in MEASURES}
    difference = a.mean_spectrum() - b.mean_spectrum()
    return {**result, SPECTRUM: {"rms": float(np.sqrt(np.mean(difference**2)))}}


def _distribution_distances(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    if not len(x) or not len(y):
        return {"wasserstein": math.nan, "ks": math.nan}
    return {
        "wasserstein": float(wasserstein_distance(x, y)),
        "ks": float(ks_2samp(x, y).statistic),
    }


def _mean_number(values: Iterable[float]) -> float | None:
    """Return the mean of the values that are not NaN; None, null in JSON, if there are none."""
    numbers = [value for value in values if not math.isnan(value)]
    return float(np.mean(numbers)) if numbers else None


def _auc(a: ImpressionSet, b: ImpressionSet) -> float:
    return cross_validated_auc(a.features, a.crop_fingers, b.features, b.crop_fingers)


def _halvings(
    impressions: ImpressionSet, parameters: ComparisonParameters = DEFAULT
) -> Iterator[tuple[ImpressionSet, ImpressionSet]]:
    """Yield random halvings of the fingers of a set."""
    fingers = sorted(set(impressions.crop_fingers))
    for seed in range(parameters.halvings):
        order = np.random.default_rng(seed).permutation(fingers).tolist()
        half = len(order) // 2
        yield impressions.select(set(order[:half])), impressions.select(set(order[half:]))


def _auc_between_partitions(impressions: ImpressionSet) -> dict[str, float | None]:
    """Return the AUC of every two partitions of a set."""
    fingers: dict[str, set[str]] = {}
    for one, partition in zip(impressions.impressions, impressions.partitions, strict=True):
        fingers.setdefault(partition, set()).add(one.finger)
    sets = {name: impressions.select(fingers[name]) for name in sorted(fingers)}
    names = list(sets)
    pairs = [(x, y) for k, x in enumerate(names) for y in names[k + 1 :]]
    return {f"{x} against {y}": _mean_number([_auc(sets[x], sets[y])]) for x, y in pairs}


def _counts(impressions: ImpressionSet) -> dict[str, Any]:
    return {
        "folders": impressions.folders,
        "prints": len(impressions.impressions),
        "fingers": len({one.finger for one in impressions.impressions}),
        "crops": len(impressions.crop_fingers),
        "rejected": impressions.rejected,
    }
