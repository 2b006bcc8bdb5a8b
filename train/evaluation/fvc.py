"""The FVC protocol over a folder of real impressions.

Genuine comparisons are all pairs of a finger's impressions, impostor comparisons all pairs of
fingers by their first impressions (Maio et al., "FVC2002: Second Fingerprint Verification
Competition", ICPR 2002); each is made once, not both ways.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import Array
from shards.foundation.errors import Fault, Misuse
from shards.foundation.progress import Progress
from train.evaluation import bootstrap, error_rates, reference_minutiae
from train.evaluation.file_methods import Answer
from train.evaluation.result_log import Ledger, Row, digest, sha256

NAME = re.compile(r"([^.].*)_(\d+)\.(tif|tiff|png|bmp)", re.IGNORECASE)
LEDGER = "answers.jsonl"
ROOT = Path(__file__).parents[2]
PROGRAM = (  # what makes the answers
    "model/**/*.py",
    "pipeline/imaging/*.py",
    *(f"train/evaluation/{n}.py" for n in ("file_methods", "phase", "reference_minutiae", "sift")),
)

Comparison = tuple[Path, Path, bool]  # A, B, genuine
Compare = Callable[[Path, Path], dict[str, Answer]]
Minutiae = dict[str, Array]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the methods said of P comparisons; one that could not be made has the score -inf."""

    rows: list[Row]
    scores: dict[str, NDArray[np.float64]]  # [P] by method
    genuine: NDArray[np.bool_]  # [P]
    fingers: list[tuple[str, str]]  # [P]

    @property
    def faults(self) -> list[str]:
        """Why comparisons could not be made."""
        return [row["fault"] for row in self.rows if row["fault"]]

    @functools.cached_property
    def weights(self) -> NDArray[np.float64]:
        """How often each comparison counts in each replica of the fingers, [R, P]."""
        of_a, of_b = zip(*self.fingers, strict=True)
        return bootstrap.resample_weights(of_a, of_b)

    def figures(self) -> dict[str, dict[str, float]]:
        """{method: figures, and of each "…_low" and "…_high", its 95 % interval over fingers}.

        NaN where a figure is undefined. Where a witness was heard its figures stand beside.
        """
        return {method: self._rates(method) | self._witnessed(method) for method in self.scores}

    def _rates(self, method: str) -> dict[str, float]:
        score = self.scores[method]
        if self.genuine.all() or not self.genuine.any():
            return {}
        found = error_rates.metrics(score, self.genuine)
        return _with_intervals(found, error_rates.intervals(score, self.genuine, self.weights))

    def _witnessed(self, method: str) -> dict[str, float]:
        """Means over the genuine comparisons, and the median residual of confirmed minutiae."""
        heard = [k for k, row in enumerate(self.rows) if method in row["witness"]]
        if not heard:
            return {}
        said = [self.rows[k]["witness"][method] for k in heard]
        weights = self.weights[:, heard]
        known = weights[weights.any(1)]
        found, around = {}, {}
        for name in ("confirmed", "aligned"):
            values = np.array([one[name] for one in said], float)
            found[name] = float(values.mean())
            around[name] = bootstrap.percentile_interval(known @ values / known.sum(1))
        residuals = np.concatenate([one["distances"] for one in said])
        of_pair = np.repeat(np.arange(len(said)), [len(one["distances"]) for one in said])
        found["residual"] = float(np.median(residuals)) if len(residuals) else float("nan")
        around["residual"] = bootstrap.median_interval(residuals, of_pair, known)
        return _with_intervals(found, around)


def impressions(folder: Path) -> dict[str, list[Path]]:
    """{finger: its files by impression} of FINGER_IMPRESSION.{tif,tiff,png,bmp} in a folder.

    Hidden files are none. Misuse where there are none, or two of one impression.
    """
    if not folder.is_dir():
        raise Misuse(f"{folder}: no such folder")
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        if match := NAME.fullmatch(path.name):
            first = found.setdefault(match[1], {}).setdefault(int(match[2]), path)
            if first != path:
                raise Misuse(
                    f"{folder}: {first.name} and {path.name} are one impression, of finger "
                    f"{match[1]}; leave one of them"
                )
    if not found:
        raise Misuse(f"{folder}: holds no impressions named FINGER_IMPRESSION.tif, .png or .bmp")
    return {finger: [path for _, path in sorted(of.items())] for finger, of in found.items()}


def comparisons(fingers: dict[str, list[Path]]) -> list[Comparison]:
    """Every comparison of the protocol, genuine ones first."""
    genuine = [
        (*pair, True) for files in fingers.values() for pair in itertools.combinations(files, 2)
    ]
    first = [files[0] for files in fingers.values()]
    return genuine + [(a, b, False) for a, b in itertools.combinations(first, 2)]


def describe(folder: Path, checkpoint: Path, ppi: float | None, minutiae: Path | None) -> Row:
    """What the answers rest on: images, program, checkpoint, witness and resolution."""
    program = (path for pattern in PROGRAM for path in sorted(ROOT.glob(pattern)))
    return {
        "images_sha256": digest(itertools.chain.from_iterable(impressions(folder).values())),
        "program_sha256": digest(program),
        "checkpoint_sha256": sha256(checkpoint),
        "minutiae_sha256": sha256(minutiae) if minutiae else None,
        "ppi": ppi,
    }


def run(
    folder: Path, compare: Compare, out: Path, facts: Row, minutiae: Minutiae | None = None
) -> Outcome:
    """Make every comparison over a folder that OUT/answers.jsonl does not hold already.

    What cannot be compared is told in the outcome, the rest is done. Misuse where the file was
    made with other `facts`.
    """
    todo = comparisons(impressions(folder))
    with Ledger(out / LEDGER, facts) as ledger:
        done = {(row["a"], row["b"]) for row in ledger.rows}
        left = [(a, b, same) for a, b, same in todo if (a.name, b.name) not in done]
        faults = sum(bool(row["fault"]) for row in ledger.rows)
        with Progress("compare", len(left), "pairs") as progress:
            for a, b, genuine in left:
                ledger.append(_compared(a, b, genuine, compare, minutiae))
                faults += bool(ledger.rows[-1]["fault"])
                progress.advance(failed=faults)
        return gather(ledger.rows)


def gather(rows: list[Row]) -> Outcome:
    """The outcome of rows of a ledger."""
    methods = dict.fromkeys(method for row in rows for method in row["scores"])
    scores = {
        method: np.array([row["scores"].get(method, -np.inf) for row in rows], np.float64)
        for method in methods
    }
    genuine = np.array([row["genuine"] for row in rows], bool)
    return Outcome(rows, scores, genuine, [(_finger(row["a"]), _finger(row["b"])) for row in rows])


def _compared(a: Path, b: Path, genuine: bool, compare: Compare, minutiae: Minutiae | None) -> Row:
    """The row of one comparison; a Fault is what it says, not what stops it."""
    row: Row = {"a": a.name, "b": b.name, "genuine": genuine, "fault": None}
    try:
        answers = compare(a, b)
    except Fault as fault:
        return row | {"fault": f"{a.name} × {b.name}: {fault}", "scores": {}, "witness": {}}
    heard: dict[str, Any] = {}
    if minutiae:
        of_a, of_b = minutiae[a.name], minutiae[b.name]
        answers = answers | {reference_minutiae.ORACLE: reference_minutiae.oracle(of_a, of_b)}
        heard = _heard(answers, of_a, of_b) if genuine else {}
    scores = {method: float(answer.score) for method, answer in answers.items()}
    return row | {"scores": scores, "witness": heard}


def _heard(answers: dict[str, Answer], a: Array, b: Array) -> dict[str, Any]:
    """What the witness says of each method's map: distances, share confirmed, aligned or not."""
    away = {
        name: reference_minutiae.distances(a, b, answer.carry) for name, answer in answers.items()
    }
    shares = {name: reference_minutiae.share(len(of), a, b) for name, of in away.items()}
    enough = reference_minutiae.ALIGNED * shares[reference_minutiae.ORACLE]
    return {
        name: {
            "confirmed": shares[name],
            "aligned": shares[name] >= enough,
            "distances": [round(d, 3) for d in of.tolist()],
        }
        for name, of in away.items()
    }


def _with_intervals(
    found: dict[str, float], around: dict[str, tuple[float, float]]
) -> dict[str, float]:
    """The figures, each followed by the ends of its interval."""
    return {
        key: value
        for name, middle in found.items()
        for key, value in zip(
            (name, f"{name}_low", f"{name}_high"), (middle, *around[name]), strict=True
        )
    }


def _finger(name: str) -> str:
    match = NAME.fullmatch(name)
    return match[1] if match else name
