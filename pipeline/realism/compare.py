"""How far synthetic prints are from real ones: distributions side by side, and a classifier.

Both sides are measured by the same code. The scale of every figure is measured with it: halves
of the real fingers against each other, the least that can be hoped for, and real sets against one
another where there are several, a distance that a person calls another sensor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ks_2samp, wasserstein_distance

from pipeline.realism.classifier import by_group, separate
from pipeline.realism.measures import MEASURES
from pipeline.realism.print_set import Side, mean_spectrum, measure_folders, pooled
from pipeline.realism.report import render as render_page
from shards.foundation.errors import Misuse

HALVINGS = 10


def compare(real: Sequence[Path], synthetic: Path, out: Path) -> dict[str, Any]:
    """Measure the folders `real` together and `synthetic`; what report.json holds.

    It is written into `out`, with report.html. Misuse where a side has no images or too few
    fingers, or `out` cannot be written.
    """
    a, b = (measure_folders(folders) for folders in (real, [synthetic]))
    report = {
        "real": _facts(a),
        "synthetic": _facts(b),
        "auc": _number([_separate(a, b)]),
        "auc_by_features": by_group(a.features, a.fingers, b.features, b.fingers),
        "auc_halves_of_real": _number(_separate(*h) for h in _halved(a)),
        "auc_between_real_sets": _between_sets(a),
        "distances": distances(a, b),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(json.dumps(report, indent=2))
        (out / "report.html").write_text(render_page(report, a, b), encoding="utf-8")
    except OSError as error:
        raise Misuse(f"{out}: cannot be written: {error.strerror}; choose another --out") from error
    return report


def summary(report: dict[str, Any]) -> str:
    """The report in a few lines."""

    def said(value: float | None) -> str:
        return "none " if value is None else f"{value:.3f}"

    left_out = sum(len(report[side]["refused"]) for side in ("real", "synthetic"))
    lines = [
        f"AUC of real against synthetic: {said(report['auc'])}; of two halves of the real fingers: "
        f"{said(report['auc_halves_of_real'])}",
        *(f"AUC of {pair}: {said(auc)}" for pair, auc in report["auc_between_real_sets"].items()),
        f"{'':32}    KS   of real halves",
    ]
    for name, found in report["distances"].items():
        if "ks" in found:
            lines.append(f"{name:32} {said(found['ks'])}   {said(found['ks_halves_of_real'])}")
    if left_out:
        lines.append(f"{left_out} images without a finger were left out; report.json names them")
    return "\n".join(lines)


def distances(a: Side, b: Side) -> dict[str, dict[str, float | None]]:
    """Of every measure the Wasserstein and Kolmogorov-Smirnov distance, and those of real halves.

    The power spectrum has a root mean square in dB in their place. None where a side shows nothing
    of a measure, such as the ground of prints that fill their images.
    """
    found = {"": _distances(a, b)} | {str(k): _distances(*h) for k, h in enumerate(_halved(a))}
    whole = found.pop("")
    made = {}
    for name, figures in whole.items():
        halves = {key: [half[name][key] for half in found.values()] for key in figures}
        made[name] = {key: _number([value]) for key, value in figures.items()}
        made[name] |= {f"{key}_halves_of_real": _number(halves[key]) for key in figures}
    return made


def _distances(a: Side, b: Side) -> dict[str, dict[str, float]]:
    found = {}
    for name in MEASURES:
        x, y = pooled(a, name), pooled(b, name)
        both = len(x) and len(y)
        found[name] = {
            "wasserstein": float(wasserstein_distance(x, y)) if both else math.nan,
            "ks": float(ks_2samp(x, y).statistic) if both else math.nan,
        }
    return found | {"power spectrum, dB": {"rms": _spectral(a, b)}}


def _number(values: Iterable[float]) -> float | None:
    """The mean of those that are numbers; None, which JSON has a word for, where there is none."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else None


def _spectral(a: Side, b: Side) -> float:
    return float(np.sqrt(np.mean((mean_spectrum(a) - mean_spectrum(b)) ** 2)))


def _separate(a: Side, b: Side) -> float:
    return separate(a.features, a.fingers, b.features, b.fingers)


def _halved(side: Side) -> Iterator[tuple[Side, Side]]:
    """HALVINGS times two halves of the fingers."""
    names = sorted(set(side.fingers))
    for seed in range(HALVINGS):
        order = np.random.default_rng(seed).permutation(names).tolist()
        half = len(order) // 2
        yield side.of(set(order[:half])), side.of(set(order[half:]))


def _between_sets(side: Side) -> dict[str, float | None]:
    """AUC of every two partitions of a side against each other."""
    names = sorted(set(side.partitions))
    sets = {
        name: side.of(
            {m.finger for m, p in zip(side.prints, side.partitions, strict=True) if p == name}
        )
        for name in names
    }
    pairs = [(x, y) for k, x in enumerate(names) for y in names[k + 1 :]]
    return {f"{x} against {y}": _number([_separate(sets[x], sets[y])]) for x, y in pairs}


def _facts(side: Side) -> dict[str, Any]:
    return {
        "folders": side.folders,
        "prints": len(side.prints),
        "fingers": len({one.finger for one in side.prints}),
        "crops": len(side.fingers),
        "refused": side.refused,
    }
