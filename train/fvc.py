"""The FVC protocol over a folder of real impressions.

Genuine comparisons are all pairs of a finger's impressions, impostor comparisons all pairs of
fingers by their first impressions (Maio et al., "FVC2002: Second Fingerprint Verification
Competition", ICPR 2002); each is made once, not both ways.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.metrics import equal_error_rate, roc_auc
from model.register import Registrar
from shards.errors import Fault, Misuse
from shards.progress import Progress
from train.evaluate import make_folder, write_table

NAME = re.compile(r"(.+)_(\d+)\.(tif|tiff|png|bmp)", re.IGNORECASE)
OPEN_PRINTS = 256

Comparison = tuple[Path, Path, bool]  # A, B, genuine


@dataclass(frozen=True)
class Scores:
    """Scores of the comparisons that could be made, and why the others could not."""

    comparisons: list[Comparison]
    scores: list[float]
    faults: list[str]

    def figures(self) -> dict[str, float | int | None]:
        """Counts, equal error rate and area under the ROC curve (None where undefined)."""
        genuine = np.array([c[2] for c in self.comparisons], bool)
        score = np.array(self.scores)
        rates = {"eer": equal_error_rate(score, genuine), "auc": roc_auc(score, genuine)}
        counts = {"genuine": int(genuine.sum()), "impostor": int((~genuine).sum())}
        known = {k: round(v, 6) if np.isfinite(v) else None for k, v in rates.items()}
        return {**counts, "failed": len(self.faults), **known}


def impressions(folder: Path) -> dict[str, list[Path]]:
    """{finger: its files by impression} of FINGER_IMPRESSION.{tif,tiff,png,bmp} in a folder."""
    if not folder.is_dir():
        raise Misuse(f"{folder}: no such folder")
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in sorted(folder.iterdir()):
        if match := NAME.fullmatch(path.name):
            found.setdefault(match[1], []).append((int(match[2]), path))
    if not found:
        raise Misuse(f"{folder}: holds no impressions named FINGER_IMPRESSION.tif, .png or .bmp")
    return {finger: [path for _, path in sorted(files)] for finger, files in found.items()}


def comparisons(fingers: dict[str, list[Path]]) -> list[Comparison]:
    """Every comparison of the protocol, genuine ones first."""
    genuine = [
        (*pair, True) for files in fingers.values() for pair in itertools.combinations(files, 2)
    ]
    first = [files[0] for files in fingers.values()]
    return genuine + [(a, b, False) for a, b in itertools.combinations(first, 2)]


def run(folder: Path, registrar: Registrar, ppi: float | None = None) -> Scores:
    """Score every comparison over a folder; what cannot be opened is told, the rest is done."""
    todo = comparisons(impressions(folder))
    open_print = functools.lru_cache(OPEN_PRINTS)(registrar.open_file)
    done: list[Comparison] = []
    scores, faults = [], []
    with Progress("compare", len(todo), "pairs") as progress:
        for a, b, genuine in todo:
            try:
                found = registrar.register_prints(open_print(a, ppi), open_print(b, ppi))
                done.append((a, b, genuine))
                scores.append(found.score)
            except Fault as fault:
                faults.append(f"{a.name} × {b.name}: {fault}")
            progress.advance(failed=len(faults))
    return Scores(done, scores, faults)


def write(found: Scores, out: Path) -> None:
    """OUT/fvc.json (the figures) and OUT/scores.csv (a comparison a line)."""
    make_folder(out)
    (out / "fvc.json").write_text(json.dumps(found.figures(), indent=1) + "\n")
    rows = [
        {"a": a.name, "b": b.name, "genuine": int(genuine), "score": round(score, 6)}
        for (a, b, genuine), score in zip(found.comparisons, found.scores, strict=True)
    ]
    write_table(out / "scores.csv", rows)
