"""Samples to which a calibration is fitted: matches, pairs of impressions, and errors of maps."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from model.network import compilation_cache, metrics, weights
from model.network.grid import pool_truth
from model.registration import registrar
from model.registration.assessment import assess
from model.registration.calibration import Calibration, CalibrationCurves, UncertaintyWeights
from model.registration.impression import PreparedImpression
from model.registration.inference import WindowNetwork
from model.registration.registrar import Registrar
from model.registration.ridge_alignment import refine_finely
from model.registration.uncertainty import measure_doubt
from pipeline.imaging.warp import Array, Warp, apply_affine, invert_affine
from shards import record
from shards.foundation import pool
from shards.foundation.blas_threads import one_blas_thread
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
    impressions_per_offset: int = 4  # of a finger for each of which it has these partners; chosen
    points_per_pair: int = 200  # at which the error of a map is measured; chosen
    validation_pairs: int = 500  # whose matches are used; chosen
    seed: int = 0  # of the choice of validation pairs


DEFAULT = CalibrationParameters()
NO_ERRORS = np.zeros((0, len(fields(UncertaintyWeights)) - 1)), np.zeros((0, 2))


class HasPpi(Protocol):
    """The parts of an impression that the samples need."""

    @property
    def ppi(self) -> float:
        """Resolution of its image."""


T = TypeVar("T", bound=HasPpi)
# impression → image, and the warp from its px to px of the finger's master
Synthesize = Callable[[T], tuple[NDArray[np.uint8], Warp]]


class Samples(NamedTuple):
    """Values and their labels, to which a curve is fitted.

    Attributes:
        values: float64 [N].
        labels: bool [N], whether a match is right.
    """

    values: Array
    labels: NDArray[np.bool_]


NO_MATCHES = Samples(np.zeros(0), np.zeros(0, bool))


class RegisteredSample(NamedTuple):
    """What is kept of one registered pair of synthetic impressions.

    Attributes:
        genuine: whether both show one finger.
        evidence: float64 [E], see `model.registration.evidence.Evidence`; None without a map.
        doubts: float64 [K, D] at K points of the common area of a genuine pair
            (`model.registration.uncertainty.measure_doubt`); none of an impostor pair.
        errors: float64 [K, 2], distance (x, y) of the map from the truth there, px at 500 ppi.
        matches: confidence of the network's matches near the map, and which are right; none without
            a map.
    """

    genuine: bool
    evidence: Array | None
    doubts: Array
    errors: Array
    matches: Samples


@dataclass(frozen=True, eq=False)
class PreparedTouch:
    """A synthetic impression, prepared, with the warp from px of its image to the master."""

    impression: PreparedImpression
    to_master: Warp


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
            parts.append(_matches_of_pair(network, shards.pairs("val", [k])[0]))
            progress.advance()
    values = np.concatenate([part.values for part in parts])
    return Samples(values, np.concatenate([part.labels for part in parts]))


def registered_samples(
    checkpoint: Path,
    curves: CalibrationCurves,
    fingers: Sequence[Sequence[T]],
    synthesize: Synthesize[T],
    workers: int | None = None,
    parameters: CalibrationParameters = DEFAULT,
) -> list[RegisteredSample]:
    """Register pairs of whole impressions.

    The impressions of a finger are compared two by two; and the first one of four with the second
    one of fingers that follow it in `fingers`, which best are of its pattern class. An impression
    that shows too little of a finger is in no pair. Matches count by their probability, which
    `curves` states.
    """
    size = parameters.fingers_per_block
    blocks = [fingers[k : k + size] for k in range(0, len(fingers), size)]
    work = functools.partial(_register_block, checkpoint, curves, synthesize, parameters)
    samples: list[RegisteredSample] = []
    with (
        Progress("impressions", len(fingers), "fingers") as progress,
        contextlib.closing(pool.run(work, blocks, workers)) as results,
    ):
        for block, part in zip(blocks, results, strict=True):
            samples += part
            progress.advance(len(block))
    return samples


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


def _register_block(
    checkpoint: Path,
    curves: CalibrationCurves,
    synthesize: Synthesize[T],
    parameters: CalibrationParameters,
    block: Sequence[Sequence[T]],
    stop: Callable[[], bool],
) -> list[RegisteredSample]:
    """Register the pairs of a block."""
    loaded = _load_registrar(checkpoint)
    prepared: dict[tuple[int, int], PreparedTouch] = {}
    for finger, impressions in enumerate(block):
        for k, impression in enumerate(impressions):
            if stop():
                return []
            with contextlib.suppress(Fault):  # it shows too little of a finger
                image, to_master = synthesize(impression)
                touch = loaded.prepare(image, impression.ppi)
                prepared[finger, k] = PreparedTouch(touch, to_master)
    usable = ((a, b) for a, b in list_pairs(block, parameters) if a in prepared and b in prepared)
    return [
        _register(loaded, curves, prepared[a], prepared[b], a[0] == b[0], parameters)
        for a, b in itertools.takewhile(lambda _: not stop(), usable)
    ]


@one_blas_thread
def _register(
    loaded: Registrar,
    curves: CalibrationCurves,
    a: PreparedTouch,
    b: PreparedTouch,
    genuine: bool,
    parameters: CalibrationParameters,
) -> RegisteredSample:
    """Register two impressions; the errors of a genuine pair are those of the map it would get."""
    a, b = sorted((a, b), key=lambda touch: touch.impression.rank)
    result = loaded.find_deformation(a.impression, b.impression)
    ridges = a.impression.ridge_image, b.impression.ridge_image
    assessment = assess(*result, ridges, Calibration(curves))
    deformation, agreement = result.deformation, assessment.agreement
    if deformation is None or agreement is None or assessment.evidence is None:
        return RegisteredSample(genuine, None, *NO_ERRORS, NO_MATCHES)
    evidence, explained = np.array(assessment.evidence), result.matches[agreement.explained]
    if not genuine:
        wrong = Samples(explained[:, 4], np.zeros(len(explained), bool))
        return RegisteredSample(genuine, evidence, *NO_ERRORS, wrong)
    distance = np.hypot(*(explained[:, 2:4] - _true_map(a, b, explained[:, :2])).T)
    right = Samples(explained[:, 4], distance <= metrics.DEFAULT.tolerance)
    alignment = loaded.parameters.hypotheses.alignment
    deformation = refine_finely(deformation, *ridges, alignment)
    y, x = np.nonzero(agreement.common)
    rng = np.random.default_rng(parameters.seed)
    chosen = rng.choice(len(y), min(parameters.points_per_pair, len(y)), replace=False)
    y, x = y[chosen], x[chosen]
    points = 2.0 * np.c_[x, y] + 0.5
    doubts = measure_doubt(agreement)[y, x].astype(np.float64)
    errors = deformation(points) - _true_map(a, b, points)
    return RegisteredSample(True, evidence, doubts, errors, right)


def _true_map(a: PreparedTouch, b: PreparedTouch, points: Array) -> Array:
    """Map points [K, 2] of A to B, both px at 500 ppi, through the finger's master."""
    in_file = apply_affine(a.impression.prepared.to_original, points)
    in_file_b = b.to_master.inverse(a.to_master(in_file))
    return apply_affine(invert_affine(b.impression.prepared.to_original), in_file_b)


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
        for k in range(0, len(impressions), parameters.impressions_per_offset):
            for offset in sorted(offsets):
                yield (finger, k), ((finger + offset) % len(block), k + 1)
