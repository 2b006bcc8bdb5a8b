"""How well held-out pairs are registered: the network, what registering makes of it, and SIFT.

All answer at the same cells of the same pairs, in px at 500 ppi, and are summed up by the same
`model.metrics.summarise`.
"""

from __future__ import annotations

import csv
import dataclasses
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

from model import grid, metrics, weights
from model.matching import Correspondences
from model.net import Net
from shards import record
from shards.errors import Fault, Misuse
from shards.progress import Progress
from shards.store import ShardSet
from train import loader, methods
from train.methods import Arrays

NETWORK, SMOOTH, SIFT = "network", "network + smooth map", "SIFT + RANSAC"
REGISTERED = "network + smooth map + ridges"
BATCH = 16  # pairs
SUMMARY, PAIRS = "evaluation.json", "pairs.csv"

Figures = dict[str, float]
Answer = Callable[[loader.Batch], tuple[Arrays, Correspondences]]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Results of P pairs by method, and what pairs they are."""

    results: dict[str, Arrays]  # [P] or [P, N], as metrics.evaluate_batch returns them
    about: list[dict[str, str]]  # [P], each pair's image ids "a" and "b", "kind" and "noise"

    def figures(self) -> dict[str, dict[str, Figures]]:
        """{method: {group: figures}}; the groups are "all", each kind and each noise."""
        groups = {"all": np.ones(len(self.about), bool)}
        for key, names in (("kind", record.KINDS), ("noise", record.NOISES)):
            of_pair = np.array([about[key] for about in self.about])
            groups |= {name: of_pair == name for name in names}
        return {
            method: {
                name: {"pairs": int(of.sum())} | metrics.summarise(_select(arrays, of))
                for name, of in groups.items()
                if of.any()
            }
            for method, arrays in self.results.items()
        }

    def table(self) -> str:
        """The figures over all pairs, a method a line, for the console."""
        rows = {method: groups["all"] for method, groups in self.figures().items()}
        names = list(next(iter(rows.values())))
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
    with Progress("evaluate", count, "pairs") as progress:
        for batch, counting in loader.evaluation_batches(shards, split, BATCH):
            answered = answer(batch)
            chosen = {key: values[:counting] for key, values in batch.items()}
            for method, found in _measure(chosen, *answered, checkpoint).items():
                results[method].append({key: value[:counting] for key, value in found.items()})
            progress.advance(counting)
    joined = {method: _concatenate(parts) for method, parts in results.items()}
    return Evaluation(joined, [_about(shards, split, index) for index in range(count)])


def check_view(shards: ShardSet, view: weights.View) -> None:
    """Fault where a shard set's crops are not those that a network was trained on."""
    trained = dataclasses.asdict(view)
    built = {key: shards.manifest.spec.get(key) for key in trained}
    if built != trained:
        raise Fault(
            f"{shards.directory}: built as {built}, the checkpoint was trained on {trained}"
        )


def write(evaluation: Evaluation, out: Path, facts: dict[str, Any]) -> None:
    """OUT/evaluation.json (facts, then figures by method and group), figures.csv, pairs.csv.

    The same evaluation gives the same bytes. What is undefined is null, and empty in the tables.
    """
    make_folder(out)
    figures = {
        method: {group: _plain(found) for group, found in groups.items()}
        for method, groups in evaluation.figures().items()
    }
    rows = [
        {"method": method, "group": group, **found}
        for method, groups in figures.items()
        for group, found in groups.items()
    ]
    write_table(out / "figures.csv", rows)
    write_table(out / PAIRS, [_row(evaluation, k) for k in range(len(evaluation.about))])
    report = {**facts, "pairs": len(evaluation.about), "methods": figures}  # last: all is there
    (out / SUMMARY).write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")


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
    return {"spec_hash": shards.manifest.spec_hash, "split": split, "checkpoint_sha256": digest}


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
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV and numpy let go of the lock
        claims = zip(*pool.map(claim, range(len(batch["genuine"]))), strict=True)
    names = (SMOOTH, REGISTERED, SIFT)
    measured = (methods.measure(of, batch, cells, view) for of in claims)
    return {NETWORK: results, **dict(zip(names, measured, strict=True))}


def _about(shards: ShardSet, split: str, index: int) -> dict[str, str]:
    """The image ids, kind and noise of a pair."""
    pair = record.decode(shards.read(split, [index])[0])
    return {"a": pair.image_id_a, "b": pair.image_id_b, "kind": pair.kind, "noise": pair.noise}


def _concatenate(parts: list[Arrays]) -> Arrays:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _select(arrays: Arrays, of: Any) -> Arrays:
    return {key: values[of] for key, values in arrays.items()}


def _plain(figures: Figures) -> dict[str, Any]:
    """Figures of which those that are undefined are None."""
    return {k: round(v, 6) if math.isfinite(v) else None for k, v in figures.items()}


def _row(evaluation: Evaluation, k: int) -> dict[str, Any]:
    """Pair k: its ids, and each method's median error over its visible cells and score."""
    row: dict[str, Any] = {"pair": k, **evaluation.about[k]}
    for method, arrays in evaluation.results.items():
        seen = arrays["error"][k][arrays["visible"][k]]
        row[f"{method}: median error"] = round(float(np.median(seen)), 4) if len(seen) else None
        row[f"{method}: score"] = round(float(arrays["score"][k]), 6)
    return row
