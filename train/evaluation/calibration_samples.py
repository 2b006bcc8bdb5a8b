"""Samples to which the calibration curves are fitted: pairs of impressions, and matches."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from model.network import compilation_cache, metrics, weights
from model.network.grid import pool_truth
from model.registration import registrar
from model.registration.impression import PreparedImpression
from model.registration.inference import WindowNetwork
from model.registration.registrar import Registrar
from pipeline.imaging.warp import Array
from shards import record
from shards.foundation import pool
from shards.foundation.errors import Fault, Misuse
from shards.foundation.progress import Progress
from shards.store import ShardSet
from train.evaluation import pairs


@dataclass(frozen=True)
class CalibrationParameters:
    """Which pairs the curves are fitted to."""

    fingers_per_block: int = 10  # of one task of a process; impostor pairs lie within it; chosen
    impostor_offsets: tuple[int, ...] = (1, 3)  # fingers, from a finger to its impostor partners
    # within the block, cyclically; chosen: as many impostor as genuine pairs
    validation_pairs: int = 500  # whose matches are used; chosen
    seed: int = 0  # of the choice of validation pairs


DEFAULT = CalibrationParameters()


class HasPpi(Protocol):
    """The parts of an impression that the samples need."""

    @property
    def ppi(self) -> float:
        """Resolution of its image."""


T = TypeVar("T", bound=HasPpi)
Synthesize = Callable[[T], tuple[NDArray[np.uint8], Any]]  # impression → image, and more


class Samples(NamedTuple):
    """Values and their labels, to which a curve is fitted.

    Attributes:
        values: float64 [N].
        labels: bool [N], whether a pair is genuine, or a match is right.
    """

    values: Array
    labels: NDArray[np.bool_]


def match_samples(
    checkpoint: weights.Checkpoint,
    shards: ShardSet,
    parameters: CalibrationParameters = DEFAULT,
) -> Samples:
    """Return the network's confidence in matches of validation pairs, and which are right.

    Raises:
        Misuse: there are no validation pairs.
        Fault: the shard set has other crops than the network was trained on.
    """
    count = shards.count("val")
    if not count:
        raise Misuse(f"{shards.directory}: holds no pairs of the split 'val'")
    pairs.check_geometry(shards, checkpoint.geometry)
    rng = np.random.default_rng(parameters.seed)
    chosen = rng.choice(count, min(parameters.validation_pairs, count), replace=False)
    network, parts = WindowNetwork(checkpoint), []
    with Progress("matches", len(chosen), "pairs") as progress:
        for k in sorted(chosen.tolist()):
            parts.append(_matches_of_pair(network, record.decode(shards.read("val", [k])[0])))
            progress.advance()
    values = np.concatenate([part.values for part in parts])
    return Samples(values, np.concatenate([part.labels for part in parts]))


def score_samples(
    checkpoint: Path,
    fingers: Sequence[Sequence[T]],
    synthesize: Synthesize[T],
    workers: int | None = None,
    parameters: CalibrationParameters = DEFAULT,
) -> Samples:
    """Return the ridge correlation of pairs of whole impressions, and which are genuine.

    The impressions of a finger are compared two by two, and its first one with the second one of
    other fingers. An impression that shows too little of a finger is in no pair.
    """
    size = parameters.fingers_per_block
    blocks = [fingers[k : k + size] for k in range(0, len(fingers), size)]
    work = functools.partial(_compare_block, checkpoint, synthesize, parameters)
    samples: list[tuple[float, bool]] = []
    with (
        Progress("impressions", len(fingers), "fingers") as progress,
        contextlib.closing(pool.run(work, blocks, workers)) as results,
    ):
        for block, part in zip(blocks, results, strict=True):
            samples += part
            progress.advance(len(block))
    correlations = np.array([correlation for correlation, _ in samples], np.float64)
    return Samples(correlations, np.array([genuine for _, genuine in samples], bool))


def _matches_of_pair(network: WindowNetwork, pair: record.Pair) -> Samples:
    """Return the confidence of the matches of one pair, and which are right."""
    config = network.config
    matches = network.match(network.features(pair.image_a), network.features(pair.image_b))
    map_ab, visible_cells = jnp.asarray(pair.map_ab[None]), jnp.asarray(pair.visible[None])
    truth, visible = pool_truth(map_ab, visible_cells, config.cells)
    distance = np.linalg.norm(matches.points - truth, axis=-1) * network.scale
    least = registrar.DEFAULT.least_confidence
    used = np.asarray(matches.mutual & (matches.confidence > least))
    right = np.asarray(visible) & (distance <= metrics.DEFAULT.tolerance)
    return Samples(np.asarray(matches.confidence, np.float64)[used], right[used])


def _compare_block(
    checkpoint: Path,
    synthesize: Synthesize[T],
    parameters: CalibrationParameters,
    block: Sequence[Sequence[T]],
    stop: Callable[[], bool],
) -> list[tuple[float, bool]]:
    """Return the ridge correlation of each pair of a block, and whether it is genuine."""
    loaded = _load_registrar(checkpoint)
    prepared: dict[tuple[int, int], PreparedImpression] = {}
    for finger, impressions in enumerate(block):
        for k, impression in enumerate(impressions):
            if stop():
                return []
            with contextlib.suppress(Fault):  # it shows too little of a finger
                prepared[finger, k] = loaded.prepare(synthesize(impression)[0], impression.ppi)
    usable = ((a, b) for a, b in list_pairs(block, parameters) if a in prepared and b in prepared)
    return [
        (_ridge_correlation(loaded, prepared[a], prepared[b]), a[0] == b[0])
        for a, b in itertools.takewhile(lambda _: not stop(), usable)
    ]


def _ridge_correlation(loaded: Registrar, a: PreparedImpression, b: PreparedImpression) -> float:
    """Register two impressions and return their ridge correlation."""
    smaller, larger = sorted((a, b), key=lambda impression: impression.rank)
    return loaded.find_deformation(smaller, larger)[2]


@functools.lru_cache(1)
def _load_registrar(checkpoint: Path) -> Registrar:
    """Load the network once per process."""
    compilation_cache.enable()
    return Registrar(checkpoint)


def list_pairs(
    block: Sequence[Sequence[object]], parameters: CalibrationParameters = DEFAULT
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield the pairs of a block, each image as (finger, impression)."""
    for finger, impressions in enumerate(block):
        for k in range(0, len(impressions), 2):
            yield (finger, k), (finger, k + 1)
        offsets = {offset % len(block) for offset in parameters.impostor_offsets} - {0}
        for offset in sorted(offsets):
            yield (finger, 0), ((finger + offset) % len(block), 1)
