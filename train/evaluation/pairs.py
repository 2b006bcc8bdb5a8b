"""How well held-out pairs are registered: the network, what registering makes of it, and others.

All answer at the same cells of the same pairs, in px at 500 ppi, and are summed up by the same
`train.evaluation.accuracy.summarise`.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import io
import math
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

from model.network import grid, metrics, weights
from model.network.matching import Correspondences
from model.network.net import Net
from model.registration import calibration
from model.registration.registrar import DEFAULT
from shards import manifest, record
from shards.foundation import pool
from shards.foundation.errors import Fault, Misuse
from shards.foundation.progress import Progress
from shards.foundation.text_table import format_table
from shards.store import ShardSet
from train import loader
from train.evaluation import accuracy, bootstrap, crop_methods, strata
from train.evaluation.crop_methods import Arrays
from train.evaluation.file_methods import PHASE, SIFT
from train.evaluation.result_log import Ledger, Row, digest, rests_on, sha256

NETWORK, SMOOTH = "network", "network + smooth map"
REGISTERED = "network + smooth map + ridges"
BATCH = 16  # pairs
LEDGER = "answers.jsonl"
ROOT = Path(__file__).parents[2]
PROGRAM = (  # what makes the answers
    "model/**/*.py",
    "pipeline/imaging/warp.py",
    "shards/record.py",
    "train/loader.py",
    *(f"train/evaluation/{n}.py" for n in ("crop_methods", "pairs", "phase", "sift", "strata")),
)

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
        found = {key: np.array([about[key] for about in self.about]) for key in strata.BINS}
        return masks | strata.groups(found)

    @property
    def scores(self) -> dict[str, NDArray[np.float64]]:
        """Each method's scores [P]."""
        return {name: of["score"].astype(np.float64) for name, of in self.results.items()}

    @property
    def genuine(self) -> NDArray[np.bool_]:
        """Which pairs [P] are of one finger."""
        return np.asarray(self.results[NETWORK]["genuine"], bool)

    @functools.cached_property
    def weights(self) -> NDArray[np.float64]:
        """How often each pair counts in each replica of the fingers, [R, P]."""
        of_a, of_b = ([about[key] for about in self.about] for key in ("finger_a", "finger_b"))
        return bootstrap.resample_weights(of_a, of_b)

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
        lines = [[method, *(f"{row[name]:.4g}" for name in names)] for method, row in rows.items()]
        return format_table([["", *names], *lines])


def evaluate(
    shards: ShardSet, split: str, checkpoint: weights.Checkpoint, out: Path, facts: Row
) -> Evaluation:
    """Register every pair of a split by all methods that OUT/answers.jsonl does not hold already.

    What it holds of other `facts` (see `describe`) is thrown away. Misuse where the split is empty,
    Fault where its crops are not those of the network.
    """
    count = shards.count(split)
    if not count:
        raise Misuse(f"{shards.directory}: holds no pairs of the split {split!r}")
    check_view(shards, checkpoint.geometry)
    path, answer = out / LEDGER, _compile(checkpoint.net, checkpoint.geometry)
    if not rests_on(path, facts):
        path.unlink(missing_ok=True)
    with Ledger(path, facts) as ledger:
        done = sum(len(row["about"]) for row in ledger.rows)
        left = np.arange(done, count)
        with Progress("evaluate", len(left), "pairs") as progress:
            for batch, counting in loader.evaluation_batches(shards, split, BATCH, left):
                answered = answer(batch)
                chosen = {key: values[:counting] for key, values in batch.items()}
                found = _measure(chosen, *answered, checkpoint)
                about = _about(shards, split, done + progress.done, chosen, checkpoint)
                ledger.append({"about": about, "results": _packed(found, counting)})
                progress.advance(counting)
        return gather(ledger.rows)


def gather(rows: list[Row]) -> Evaluation:
    """The evaluation that the rows of a ledger hold, a batch each."""
    parts = [_unpacked(row["results"]) for row in rows]
    results = {method: _concatenate([part[method] for part in parts]) for method in parts[0]}
    about = [
        {key: math.nan if value is None else value for key, value in pair.items()}
        for row in rows
        for pair in row["about"]
    ]
    return Evaluation(results, about)


def check_view(shards: ShardSet, view: weights.CropGeometry) -> None:
    """Fault where a shard set's crops are not those that a network was trained on."""
    trained = dataclasses.asdict(view)
    built = {key: shards.manifest.spec.get(key) for key in trained}
    if built != trained:
        raise Fault(
            f"{shards.directory}: built as {built}, the checkpoint was trained on {trained}"
        )


def describe(shards: ShardSet, split: str, checkpoint: Path) -> Row:
    """What an evaluation is made of: the split's shards, the program, the checkpoint."""
    program = (path for pattern in PROGRAM for path in sorted(ROOT.glob(pattern)))
    shas = [entry.sha256 for entry in shards.manifest.shards if entry.split == split]
    return {
        "spec_hash": shards.manifest.spec_hash,
        "shards_sha256": manifest.json_sha256(shas),
        "split": split,
        "checkpoint_sha256": sha256(checkpoint),
        "score": calibration.score_meaning(weights.load(checkpoint).curves is not None),
        "program_sha256": digest(program),
    }


def _compile(net: Net, view: weights.CropGeometry) -> Answer:
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
    config, view = checkpoint.net.config, checkpoint.geometry
    cells = np.asarray(grid.centres(config.cells, config.stride), np.float64)

    def claim(k: int) -> tuple[crop_methods.Claimed, ...]:
        images = batch["image_a"][k], batch["image_b"][k]
        return (
            crop_methods.smooth(found, k, cells, view),
            crop_methods.registered(found, k, images, cells, view),
            crop_methods.sift_ransac(images, cells, view),
            crop_methods.phased(images, cells, view),
        )

    with ThreadPoolExecutor(pool.cores()) as threads:  # OpenCV and numpy let go of the lock
        claims = zip(*threads.map(claim, range(len(batch["genuine"]))), strict=True)
    names = (SMOOTH, REGISTERED, SIFT, PHASE)
    measured = (crop_methods.measure(of, batch, cells, view) for of in claims)
    said = found.mutual & (found.confidence > DEFAULT.least_confidence)
    curves = checkpoint.curves or calibration.DEFAULT_CURVES
    likely = curves.match_probability(np.maximum(found.confidence, DEFAULT.least_confidence))
    network = results | {"confidence": np.where(said, likely, 0)[: len(batch["genuine"])]}
    return {NETWORK: network, **dict(zip(names, measured, strict=True))}


def _about(
    shards: ShardSet, split: str, start: int, batch: loader.Batch, checkpoint: weights.Checkpoint
) -> list[dict[str, Any]]:
    """The ids, kind, noise and conditions of the pairs of a batch, the split's from `start` on."""
    config = checkpoint.net.config
    cells = np.asarray(grid.centres(config.cells, config.stride), np.float64)
    found = strata.measure(batch, cells, checkpoint.geometry)
    rows = []
    for k in range(len(batch["genuine"])):
        pair = record.decode(shards.read(split, [start + k])[0])
        ids = {"a": pair.image_id_a, "b": pair.image_id_b}
        fingers = {"finger_a": pair.finger_a, "finger_b": pair.finger_b}
        graded = {name: float(values[k]) for name, values in found.items()}
        known = {name: None if math.isnan(value) else value for name, value in graded.items()}
        rows.append({**ids, **fingers, "kind": pair.kind, "noise": pair.noise, **known})
    return rows


def _summarised(results: Arrays, replicas: NDArray[np.float64]) -> Figures:
    """Number of pairs, figures, and each figure's interval by the pairs' weights [R, P]."""
    found = accuracy.summarise(results)
    around = accuracy.intervals(results, replicas)
    pairs: Figures = {"pairs": len(results["genuine"])}
    for name, value in found.items():
        pairs |= {name: value, f"{name}_low": around[name][0], f"{name}_high": around[name][1]}
    return pairs


def _packed(results: dict[str, Arrays], count: int) -> str:
    """Arrays of the first `count` pairs as text: an .npz in base64, exact.

    Errors where nothing is visible are measured by nobody, and left out.
    """
    arrays: Arrays = {}
    for method, found in results.items():
        kept = {key: values[:count] for key, values in found.items()}
        kept["error"] = np.where(kept["visible"], kept["error"], 0).astype(np.float32)
        arrays |= {f"{method}/{key}": values for key, values in kept.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return base64.b64encode(stream.getvalue()).decode()


def _unpacked(text: str) -> dict[str, Arrays]:
    results: dict[str, Arrays] = defaultdict(dict)
    with np.load(io.BytesIO(base64.b64decode(text))) as arrays:
        for name in arrays.files:
            method, _, key = name.rpartition("/")
            results[method][key] = arrays[name]
    return results


def _concatenate(parts: list[Arrays]) -> Arrays:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _select(arrays: Arrays, of: Any) -> Arrays:
    return {key: values[of] for key, values in arrays.items()}
