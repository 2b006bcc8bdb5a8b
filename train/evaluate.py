"""How well held-out pairs are registered: the network, what registering makes of it, and others.

All answer at the same cells of the same pairs, in px at 500 ppi, and are summed up by the same
`model.metrics.summarise`.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import json
import math
import os
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from model import grid, metrics, weights
from model.matching import Correspondences
from model.net import Net
from shards import record
from shards.errors import Fault, Misuse
from shards.progress import Progress
from shards.store import ShardSet
from train import bootstrap, conditions, curves, loader, methods, rates
from train.answers import PHASE, SIFT
from train.methods import Arrays

NETWORK, SMOOTH = "network", "network + smooth map"
REGISTERED = "network + smooth map + ridges"
BATCH = 16  # pairs
SUMMARY, PAIRS = "evaluation.json", "pairs.csv"
VERSION = 2  # of what is measured: an evaluation kept from an older program is made again

Figures = dict[str, float]
Answer = Callable[[loader.Batch], tuple[Arrays, Correspondences]]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Results of P pairs by method, and what pairs they are."""

    results: dict[str, Arrays]  # [P] or [P, N], as metrics.evaluate_batch returns them
    about: list[dict[str, Any]]  # [P], each pair's ids, "kind", "noise" and conditions

    def groups(self) -> dict[str, NDArray[np.bool_]]:
        """Which pairs [P] are in each group: "all", each kind, noise and grade of a condition."""
        masks = {"all": np.ones(len(self.about), bool)}
        for key, names in (("kind", record.KINDS), ("noise", record.NOISES)):
            of_pair = np.array([about[key] for about in self.about])
            masks |= {name: of_pair == name for name in names}
        found = {key: np.array([about[key] for about in self.about]) for key in conditions.BINS}
        return masks | conditions.groups(found)

    @functools.cached_property
    def weights(self) -> NDArray[np.float64]:
        """How often each pair counts in each replica of the fingers, [R, P]."""
        of_a, of_b = ([about[key] for about in self.about] for key in ("finger_a", "finger_b"))
        return bootstrap.draw(of_a, of_b)

    @functools.cached_property
    def figures(self) -> dict[str, dict[str, Figures]]:
        """{method: {group: figures}}, groups without a pair left out.

        Each figure has beside it "…_low" and "…_high", its 95 % interval over fingers.
        """
        groups = {name: of for name, of in self.groups().items() if of.any()}
        return {
            method: {
                name: _summarised(_select(arrays, of), self.weights[:, of])
                for name, of in groups.items()
            }
            for method, arrays in self.results.items()
        }

    def table(self) -> str:
        """The figures over all pairs, a method a line, for the console."""
        rows = {method: groups["all"] for method, groups in self.figures.items()}
        names = [n for n in next(iter(rows.values())) if not n.endswith(("_low", "_high"))]
        lines = [f"{'':29s}" + "".join(f"{name:>20s}" for name in names)]
        for method, row in rows.items():
            lines.append(f"{method:29s}" + "".join(f"{row[name]:20.4g}" for name in names))
        return "\n".join(lines)


def evaluate(shards: ShardSet, split: str, checkpoint: weights.Checkpoint) -> Evaluation:
    """Register every pair of a split by all methods.

    Misuse where the split is empty, Fault where its crops are not those of the network.
    """
    count = shards.count(split)
    if not count:
        raise Misuse(f"{shards.directory}: holds no pairs of the split {split!r}")
    check_view(shards, checkpoint.view)
    answer = _compile(checkpoint.net, checkpoint.view)
    results: dict[str, list[Arrays]] = defaultdict(list)
    about: list[dict[str, Any]] = []
    with Progress("evaluate", count, "pairs") as progress:
        for batch, counting in loader.evaluation_batches(shards, split, BATCH):
            answered = answer(batch)
            chosen = {key: values[:counting] for key, values in batch.items()}
            for method, found in _measure(chosen, *answered, checkpoint).items():
                results[method].append({key: value[:counting] for key, value in found.items()})
            about += _about(shards, split, len(about), chosen, checkpoint)
            progress.advance(counting)
    joined = {method: _concatenate(parts) for method, parts in results.items()}
    return Evaluation(joined, about)


def check_view(shards: ShardSet, view: weights.View) -> None:
    """Fault where a shard set's crops are not those that a network was trained on."""
    trained = dataclasses.asdict(view)
    built = {key: shards.manifest.spec.get(key) for key in trained}
    if built != trained:
        raise Fault(
            f"{shards.directory}: built as {built}, the checkpoint was trained on {trained}"
        )


def write(evaluation: Evaluation, out: Path, facts: dict[str, Any]) -> None:
    """OUT/evaluation.json (facts, then figures by method and group), and as CSV figures, pairs,
    precision_recall and reliability (of the network's matches by their confidence).

    Figures that are undefined are null, and empty in the CSV.
    """
    make_folder(out)
    figures = {
        method: {group: _plain(found) for group, found in groups.items()}
        for method, groups in evaluation.figures.items()
    }
    rows = [
        {"method": method, "group": group, **found}
        for method, groups in figures.items()
        for group, found in groups.items()
    ]
    write_table(out / "figures.csv", rows)
    write_table(out / PAIRS, [_row(evaluation, k) for k in range(len(evaluation.about))])
    network = evaluation.results[NETWORK]
    judged = {
        "precision_recall": curves.precision_recall(network),
        "reliability": curves.reliability(network),
    }
    for name, points in judged.items():
        write_table(out / f"{name}.csv", [_plain(point) for point in points])
    error = _plain({"calibration_error": curves.calibration_error(judged["reliability"])})
    report = {**facts, "pairs": len(evaluation.about), **error, **judged, "methods": figures}
    (out / SUMMARY).write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")  # last of all


def read(out: Path, facts: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, str]]] | None:
    """evaluation.json and the rows of pairs.csv in a folder; None unless made of just `facts`."""
    try:
        report = json.loads((out / SUMMARY).read_text())
        if any(report.get(key) != value for key, value in facts.items()):
            return None
        with (out / PAIRS).open(newline="") as file:
            return report, list(csv.DictReader(file))
    except (OSError, ValueError):
        return None


def make_folder(path: Path) -> None:
    """Make the folder of an answer; Misuse where a file is in its way, or it is not allowed."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misuse(f"{path}: no folder can be made here: {error.strerror}") from error


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """A CSV file of rows that all have the keys of the first; an empty one where there are none."""
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def describe(shards: ShardSet, split: str, checkpoint: Path) -> dict[str, Any]:
    """What an evaluation is made of: the set's spec hash, the split, the checkpoint's sha256."""
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    facts = {"spec_hash": shards.manifest.spec_hash, "split": split, "checkpoint_sha256": digest}
    return {**facts, "evaluation": VERSION}


def _compile(net: Net, view: weights.View) -> Answer:
    """Batch → metrics.evaluate_batch of it and the correspondences, compiled once a shape."""
    graph, params = nnx.split(net)

    @jax.jit
    def answer(params: nnx.State, batch: dict[str, jax.Array]) -> tuple[Any, Correspondences]:
        net: Net = nnx.merge(graph, params)
        found = net.correspond(net(batch["image_a"], batch["image_b"]))
        return metrics.evaluate_batch(net, batch, view.crop / view.size), found

    return lambda batch: jax.device_get(answer(params, batch))


def _measure(
    batch: loader.Batch, results: Arrays, found: Correspondences, checkpoint: weights.Checkpoint
) -> dict[str, Arrays]:
    """Results of all methods for the pairs of a batch; the network's are there already."""
    config, view = checkpoint.net.config, checkpoint.view
    cells = np.asarray(grid.centres(config.cells, config.stride), np.float64)

    def claim(k: int) -> tuple[methods.Claimed, ...]:
        images = batch["image_a"][k], batch["image_b"][k]
        return (
            methods.smooth(found, k, cells, view),
            methods.registered(found, k, images, cells, view),
            methods.sift(images, cells, view),
            methods.phased(images, cells, view),
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV and numpy let go of the lock
        claims = zip(*pool.map(claim, range(len(batch["genuine"]))), strict=True)
    names = (SMOOTH, REGISTERED, SIFT, PHASE)
    measured = (methods.measure(of, batch, cells, view) for of in claims)
    confidence = np.where(found.mutual, found.confidence, 0)[: len(batch["genuine"])]
    network = results | {"confidence": confidence}
    return {NETWORK: network, **dict(zip(names, measured, strict=True))}


def _about(
    shards: ShardSet, split: str, start: int, batch: loader.Batch, checkpoint: weights.Checkpoint
) -> list[dict[str, Any]]:
    """The ids, kind, noise and conditions of the pairs of a batch, the split's from `start` on."""
    config = checkpoint.net.config
    cells = np.asarray(grid.centres(config.cells, config.stride), np.float64)
    found = conditions.measure(batch, cells, checkpoint.view)
    rows = []
    for k in range(len(batch["genuine"])):
        pair = record.decode(shards.read(split, [start + k])[0])
        ids = {"a": pair.image_id_a, "b": pair.image_id_b}
        fingers = {"finger_a": pair.finger_a, "finger_b": pair.finger_b}
        graded = {name: float(values[k]) for name, values in found.items()}
        rows.append({**ids, **fingers, "kind": pair.kind, "noise": pair.noise, **graded})
    return rows


def _summarised(results: Arrays, replicas: NDArray[np.float64]) -> Figures:
    """Number of pairs, figures, and each figure's interval by the pairs' weights [R, P]."""
    found = metrics.summarise(results)
    around = _intervals(results, replicas)
    pairs: Figures = {"pairs": len(results["genuine"])}
    for name, value in found.items():
        pairs |= {name: value, f"{name}_low": around[name][0], f"{name}_high": around[name][1]}
    return pairs


def _intervals(results: Arrays, replicas: NDArray[np.float64]) -> dict[str, bootstrap.Interval]:
    """Intervals of the figures of `metrics.summarise`; NaN where there is none."""
    visible, kept, error, genuine = (results[k] for k in ("visible", "kept", "error", "genuine"))
    seen = visible.sum(1)
    right = (kept & visible & (error <= metrics.TOLERANCE)).sum(1)
    shares = {
        "epe_mean": (np.where(visible, error, 0).sum(1), seen),
        **{f"pck@{t}": ((visible & (error <= t)).sum(1), seen) for t in metrics.PCK},
        "precision": (right, kept.sum(1)),
        "recall": (right, seen),
    }
    around = {name: bootstrap.ratio_interval(*of, replicas) for name, of in shares.items()}
    of_pair = np.repeat(np.arange(len(seen)), seen)
    around["epe_median"] = bootstrap.median_interval(error[visible], of_pair, replicas)
    fitted = np.flatnonzero(genuine & (seen > 0))
    turned = np.degrees(results["rotation_error"][fitted])
    around["rotation_error_deg"] = bootstrap.median_interval(turned, fitted, replicas)
    scored = rates.intervals(results["score"].astype(np.float64), genuine, replicas)
    return around | {name: scored[name] for name in ("auc", "eer")}


def _concatenate(parts: list[Arrays]) -> Arrays:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _select(arrays: Arrays, of: Any) -> Arrays:
    return {key: values[of] for key, values in arrays.items()}


def _plain(figures: Figures) -> dict[str, Any]:
    """Figures of which those that are undefined are None."""
    return {k: round(v, 6) if math.isfinite(v) else None for k, v in figures.items()}


def _row(evaluation: Evaluation, k: int) -> dict[str, Any]:
    """Pair k: its ids, and each method's median error over its visible cells and score."""
    about = evaluation.about[k]
    row: dict[str, Any] = {"pair": k, **about, **_plain({n: about[n] for n in conditions.BINS})}
    for method, arrays in evaluation.results.items():
        seen = arrays["error"][k][arrays["visible"][k]]
        row[f"{method}: median error"] = round(float(np.median(seen)), 4) if len(seen) else None
        row[f"{method}: score"] = round(float(arrays["score"][k]), 6)
    return row
