"""Evaluation of registration on the held-out pairs of a shard set, whose true maps are known.

Five methods register each pair: the network alone, its matches as a smooth map, that map aligned
by the ridges (the whole of `model.registration`), SIFT + RANSAC and phase correlation. All are
measured at the same cells, in px at 500 ppi.
"""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from model.network import metrics, weights
from model.network.matching import Correspondences
from model.network.net import Net
from model.network.weights import Checkpoint, CropGeometry
from model.registration import calibration, registrar
from shards.foundation import pool
from shards.foundation.errors import Fault, Misuse
from shards.foundation.progress import Progress
from shards.store import ShardSet
from train import loader
from train.evaluation import crop_methods, pair_results, result_log, strata
from train.evaluation.crop_methods import NETWORK, Arrays
from train.evaluation.pair_results import PairResults
from train.evaluation.result_log import ResultLog, Row, sha256

# Batch → the arrays of `metrics.evaluate_batch`, and the network's matches
NetworkFunction = Callable[[loader.Batch], tuple[Arrays, Correspondences]]


@dataclass(frozen=True)
class PairsParameters:
    """Settings of the evaluation on pairs."""

    batch_size: int = 16  # pairs registered together, and per row of the log; chosen


DEFAULT = PairsParameters()


def describe_inputs(shards: ShardSet, split: str, checkpoint: Path) -> Row:
    """Return everything that the results depend on; results are only reused with the same inputs.

    Args:
        shards: the shard set.
        split: "train", "val" or "test".
        checkpoint: the network, a .safetensors file.
    """
    return {
        "spec_hash": shards.manifest.spec_hash,
        "shards_sha256": loader.split_digest(shards, split),
        "split": split,
        "checkpoint_sha256": sha256(checkpoint),
        "score": calibration.score_meaning(weights.load(checkpoint).curves is not None),
        **result_log.versions(crop_methods.versions()),
    }


def evaluate(
    shards: ShardSet,
    split: str,
    checkpoint: Checkpoint,
    out: Path,
    inputs: Row,
    parameters: PairsParameters = DEFAULT,
) -> PairResults:
    """Register every pair of a split that the log in `out` does not hold already.

    Args:
        shards: the shard set.
        split: "train", "val" or "test".
        checkpoint: the network.
        out: folder of the log; logs with other inputs in it stay beside.
        inputs: see `describe_inputs`.
        parameters: size of a batch.

    Raises:
        Misuse: the split is empty.
        Fault: the crops of the shard set are not those that the network was trained on.
    """
    count = shards.count(split)
    if not count:
        raise Misuse(
            f"{shards.directory}: holds no pairs of the split {split!r}; choose another (--split), "
            "or build it with more persons or a list that states splits (docs/OWN_DATA.md)"
        )
    check_geometry(shards, checkpoint.geometry)
    network = compile_network(checkpoint.net, checkpoint.geometry)
    starts = range(0, count, parameters.batch_size)
    log_inputs = {**inputs, "batch_size": parameters.batch_size}
    with ResultLog(out, log_inputs, operator.itemgetter("start")) as log:
        done = {row["start"] for row in log.rows}
        remaining = [range(count)[k : k + parameters.batch_size] for k in starts if k not in done]
        indices = np.fromiter(itertools.chain(*remaining), np.int64)
        batches = loader.evaluation_batches(shards, split, parameters.batch_size, indices)
        with Progress("evaluate", len(indices), "pairs") as progress:
            # The last batch is filled up beyond `size` pairs.
            for of_batch, (batch, size) in zip(remaining, batches, strict=True):
                arrays, matches = network(batch)
                batch = {key: values[:size] for key, values in batch.items()}
                results = measure_batch(batch, arrays, matches, checkpoint)
                pairs = describe_pairs(shards, split, of_batch, batch, checkpoint)
                log.append({"start": of_batch.start, **pair_results.to_row(results, pairs)})
                progress.advance(size)
        shards.check_unchanged()
        return pair_results.collect(sorted(log.rows, key=operator.itemgetter("start")))


def check_geometry(shards: ShardSet, geometry: CropGeometry) -> None:
    """Raise a Fault unless a shard set has the crops that a network was trained on."""
    trained = dataclasses.asdict(geometry)
    built = {key: shards.manifest.spec.get(key) for key in trained}
    if built != trained:
        raise Fault(
            f"{shards.directory}: built as {built}, the checkpoint was trained on {trained}"
        )


def compile_network(net: Net, geometry: CropGeometry) -> NetworkFunction:
    """Compile a network for batches, once per shape of a batch."""
    graph, params = nnx.split(net)
    scale = geometry.crop / geometry.size

    @jax.jit
    def run(params: nnx.State, batch: dict[str, jax.Array]) -> tuple[Any, Correspondences]:
        net: Net = nnx.merge(graph, params)
        matches = net.correspond(net(batch["image_a"], batch["image_b"]))
        return metrics.evaluate_batch(net, batch, scale), matches

    return lambda batch: jax.device_get(run(params, batch))


def measure_batch(
    batch: loader.Batch, network: Arrays, matches: Correspondences, checkpoint: Checkpoint
) -> dict[str, Arrays]:
    """Register the B pairs of a batch with every method, and measure the results.

    Args:
        batch: the pairs.
        network: arrays of `metrics.evaluate_batch`, of at least B pairs.
        matches: the network's, of at least B pairs.
        checkpoint: the network.

    Returns:
        {method: arrays}.
    """
    crop = crop_methods.crop_grid(checkpoint.net.config, checkpoint.geometry)

    def register(k: int) -> dict[str, crop_methods.CropResult]:
        return crop_methods.register(batch["image_a"][k], batch["image_b"][k], matches, k, crop)

    with ThreadPoolExecutor(pool.cores()) as threads:  # OpenCV and numpy release the GIL
        results = list(threads.map(register, range(len(batch["genuine"]))))
    measured = {
        method: crop_methods.measure([of_pair[method] for of_pair in results], batch, crop)
        for method in results[0]
    }
    probability = match_probability(matches, checkpoint)[: len(batch["genuine"])]
    return {NETWORK: network | {"confidence": probability}, **measured}


def match_probability(matches: Correspondences, checkpoint: Checkpoint) -> Any:
    """Return the probability of each match that registration states, float64 [B, N].

    0 where there is no match with the least confidence that registration needs.
    """
    least = registrar.DEFAULT.least_confidence
    used = matches.mutual & (matches.confidence > least)
    curves = checkpoint.curves or calibration.DEFAULT_CURVES
    return np.where(used, curves.match_probability(np.maximum(matches.confidence, least)), 0)


def describe_pairs(
    shards: ShardSet, split: str, indices: range, batch: loader.Batch, checkpoint: Checkpoint
) -> list[dict[str, Any]]:
    """Return ids, kind, noise and conditions of the pairs of a batch.

    Args:
        shards: the shard set.
        split: "train", "val" or "test".
        indices: of the pairs in the split.
        batch: the pairs.
        checkpoint: the network, whose cells count.
    """
    crop = crop_methods.crop_grid(checkpoint.net.config, checkpoint.geometry)
    conditions = strata.measure(batch, crop)
    rows = []
    for k, pair in enumerate(shards.pairs(split, indices)):
        rows.append(
            {
                "a": pair.image_id_a,
                "b": pair.image_id_b,
                "finger_a": pair.finger_a,
                "finger_b": pair.finger_b,
                "kind": pair.kind,
                "noise": pair.noise,
                **{name: float(values[k]) for name, values in conditions.items()},
            }
        )
    return rows
