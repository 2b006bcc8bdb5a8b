"""How far synthetic prints are from real ones: distributions side by side, and a classifier.

Two folders are measured by the same code. The scale of every figure is measured with it: halves
of the real fingers against each other, the least that can be hoped for, and real sets against one
another where there are several, a distance that a person calls another sensor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ks_2samp, wasserstein_distance

from pipeline import compare_report
from pipeline.compare_classifier import by_group, separate
from pipeline.compare_measures import MEASURES
from pipeline.compare_side import Side, mean_spectrum, measure_folder, pooled
from shards.errors import Misuse

HALVINGS = 10


def compare(real: Path, synthetic: Path, out: Path) -> dict[str, Any]:
    """Measure both folders, write report.json and report.html into `out`; what the former holds.

    Misuse where a folder has no images or too few fingers, or `out` cannot be written.
    """
    a, b = (measure_folder(folder) for folder in (real, synthetic))
    report = {
        "real": _facts(a),
        "synthetic": _facts(b),
        "auc": _separate(a, b),
        "auc_by_features": by_group(a.features, a.fingers, b.features, b.fingers),
        "auc_halves_of_real": float(np.mean([_separate(*half) for half in _halved(a)])),
        "auc_between_real_sets": _between_sets(a),
        "distances": distances(a, b),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(json.dumps(report, indent=2))
        (out / "report.html").write_text(compare_report.render(report, a, b), encoding="utf-8")
    except OSError as error:
        raise Misuse(f"{out}: cannot be written: {error.strerror}; choose another --out") from error
    return report


def summary(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    left_out = sum(len(report[side]["refused"]) for side in ("real", "synthetic"))
    lines = [
        f"AUC of real against synthetic: {report['auc']:.3f}; of two halves of the real fingers: "
        f"{report['auc_halves_of_real']:.3f}",
        *(f"AUC of {pair}: {auc:.3f}" for pair, auc in report["auc_between_real_sets"].items()),
        f"{'':32}    KS   of real halves",
    ]
    for name, found in report["distances"].items():
        if "ks" in found:
            lines.append(f"{name:32} {found['ks']:.3f}   {found['ks_halves_of_real']:.3f}")
    if left_out:
        lines.append(f"{left_out} images without a finger were left out; report.json names them")
    return "\n".join(lines)


def distances(a: Side, b: Side) -> dict[str, dict[str, float]]:
    """Of every measure the Wasserstein and Kolmogorov-Smirnov distance, and those of real halves.

    The power spectrum has a root mean square in dB in place of a Wasserstein distance.
    """
    found = {name: {"wasserstein": w, "ks": k} for name, (w, k) in _distances(a, b).items()}
    halves = [_distances(*half) for half in _halved(a)]
    for name, figures in found.items():
        figures["ks_halves_of_real"] = float(np.mean([half[name][1] for half in halves]))
        figures["wasserstein_halves_of_real"] = float(np.mean([half[name][0] for half in halves]))
    spectra = {"a": (a, b)} | {str(k): half for k, half in enumerate(_halved(a))}
    decibels = {key: _spectral(*sides) for key, sides in spectra.items()}
    found["power spectrum, dB"] = {
        "rms": decibels.pop("a"),
        "rms_halves_of_real": float(np.mean(list(decibels.values()))),
    }
    return found


def _distances(a: Side, b: Side) -> dict[str, tuple[float, float]]:
    return {
        name: (float(wasserstein_distance(x, y)), float(ks_2samp(x, y).statistic))
        for name in MEASURES
        for x, y in [(pooled(a, name), pooled(b, name))]
    }


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


def _between_sets(side: Side) -> dict[str, float]:
    """AUC of every two partitions of a side against each other."""
    names = sorted(set(side.partitions))
    sets = {
        name: side.of(
            {m.finger for m, p in zip(side.prints, side.partitions, strict=True) if p == name}
        )
        for name in names
    }
    pairs = [(x, y) for k, x in enumerate(names) for y in names[k + 1 :]]
    return {f"{x} against {y}": _separate(sets[x], sets[y]) for x, y in pairs}


def _facts(side: Side) -> dict[str, Any]:
    return {
        "folder": str(side.folder),
        "prints": len(side.prints),
        "fingers": len({one.finger for one in side.prints}),
        "crops": len(side.fingers),
        "refused": side.refused,
    }
