"""The FVC protocol over a folder of real impressions.

Genuine comparisons are all pairs of a finger's impressions. Impostor comparisons are all pairs of
fingers by their first impressions (Maio et al., "FVC2002: Second Fingerprint Verification
Competition", ICPR 2002). Each pair is compared once, in one order.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.imaging.warp import Array
from shards.foundation.errors import Fault
from shards.foundation.progress import Progress
from train.evaluation import file_methods, fvc_results, reference_minutiae, result_log
from train.evaluation.file_methods import FileResult
from train.evaluation.fvc_results import FvcResults
from train.evaluation.impression_folder import find_impressions
from train.evaluation.result_log import ResultLog, Row, digest, sha256

# Two files → {method: result}, whose maps are between px at 500 ppi.
Compare = Callable[[Path, Path], dict[str, FileResult]]
Minutiae = Callable[[Path], Array]  # a file → its reference minutiae [N, 3], px at 500 ppi


class Comparison(NamedTuple):
    """Two files to compare, and whether they show one finger."""

    a: Path
    b: Path
    genuine: bool


def list_comparisons(fingers: dict[str, list[Path]]) -> list[Comparison]:
    """List the comparisons of the protocol, genuine ones first.

    Args:
        fingers: files by finger, see `find_impressions`.
    """
    genuine = [
        Comparison(a, b, True)
        for files in fingers.values()
        for a, b in itertools.combinations(files, 2)
    ]
    first = [files[0] for files in fingers.values()]
    return genuine + [Comparison(a, b, False) for a, b in itertools.combinations(first, 2)]


def describe_inputs(
    folder: Path, checkpoint: Path, ppi: float | None, minutiae: Path | None
) -> Row:
    """Return everything that the results depend on; results are only reused with the same inputs.

    Args:
        folder: the impressions.
        checkpoint: the network, a .safetensors file.
        ppi: resolution of all files, None if each file states its own.
        minutiae: file of reference minutiae.
    """
    return {
        "images_sha256": digest(itertools.chain.from_iterable(find_impressions(folder).values())),
        "checkpoint_sha256": sha256(checkpoint),
        "minutiae_sha256": sha256(minutiae) if minutiae else None,
        "ppi": ppi,
        **result_log.versions(file_methods.versions()),
    }


def evaluate(
    folder: Path, compare: Compare, out: Path, inputs: Row, minutiae: Minutiae | None = None
) -> FvcResults:
    """Make every comparison of a folder that the log in `out` does not hold already.

    Comparisons that fail are part of the results, with the reason; the others are made.

    Args:
        folder: the impressions.
        compare: the methods (`FileMethods.compare`).
        out: folder of the log; logs with other inputs in it stay beside.
        inputs: see `describe_inputs`.
        minutiae: reference minutiae of the files (`FileMethods.minutiae`), where there are any.
    """
    comparisons = list_comparisons(find_impressions(folder))
    with ResultLog(out, inputs, operator.itemgetter("a", "b")) as log:
        done = {(row["a"], row["b"]) for row in log.rows}
        remaining = [pair for pair in comparisons if (pair.a.name, pair.b.name) not in done]
        failed = sum(bool(row["fault"]) for row in log.rows)
        with Progress("compare", len(remaining), "pairs") as progress:
            for comparison in remaining:
                log.append(_compare(comparison, compare, minutiae))
                failed += bool(log.rows[-1]["fault"])
                progress.advance(failed=failed)
        by_files = {(row["a"], row["b"]): row for row in log.rows}
    return fvc_results.collect([by_files[pair.a.name, pair.b.name] for pair in comparisons])


def _compare(comparison: Comparison, compare: Compare, minutiae: Minutiae | None) -> Row:
    """Make one comparison and return its row; a Fault becomes part of the row."""
    a, b, genuine = comparison
    row: Row = {"a": a.name, "b": b.name, "genuine": genuine, "fault": None}
    try:
        results = compare(a, b)
    except Fault as fault:
        return row | {"fault": f"{a.name} × {b.name}: {fault}", "scores": {}, "minutiae": {}}
    measured: dict[str, Any] = {}
    if minutiae:
        minutiae_a, minutiae_b = minutiae(a), minutiae(b)
        oracle = FileResult(*reference_minutiae.rigid_oracle(minutiae_a, minutiae_b))
        results = results | {reference_minutiae.ORACLE: oracle}
        measured = _measure_maps(results, minutiae_a, minutiae_b) if genuine else {}
    scores = {method: float(result.score) for method, result in results.items()}
    return row | {"scores": scores, "minutiae": measured}


def _measure_maps(results: dict[str, FileResult], a: Array, b: Array) -> dict[str, Any]:
    """Measure each method's map by reference minutiae.

    Returns:
        {method: {"confirmed": share, "aligned": bool, "distances": px of the confirmed ones}}.
    """
    distances = {
        method: reference_minutiae.distances(a, b, result.point_map)
        for method, result in results.items()
    }
    shares = {
        method: reference_minutiae.share(len(confirmed), a, b)
        for method, confirmed in distances.items()
    }
    return {
        method: {
            "confirmed": shares[method],
            "aligned": reference_minutiae.is_aligned(
                shares[method], shares[reference_minutiae.ORACLE]
            ),
            "distances": [round(distance, 3) for distance in confirmed.tolist()],
        }
        for method, confirmed in distances.items()
    }
