"""The curves that make a network's answers probabilities, fitted on fingers that it never saw.

Two logistic curves (Platt, "Probabilistic outputs for support vector machines and comparisons to
regularized likelihood methods", 1999): of two whole prints being of one finger, by how far their
ridges agree; and of a match being right, by the network's confidence in it.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from model.network import compilation_cache, metrics, weights
from model.network.grid import pool_truth
from model.registration import calibration
from model.registration.impression import PreparedImpression
from model.registration.inference import WindowNetwork
from model.registration.registrar import DEFAULT, Registrar
from pipeline.imaging.warp import Array
from shards import record
from shards.foundation import pool
from shards.foundation.errors import Fault, Misuse
from shards.foundation.progress import Progress
from shards.store import ShardSet
from train import export
from train.evaluation import confidence, pairs

BLOCK = 10  # fingers that a process takes at a time, among which the impostors are sought
AWAY = (1, 3)  # places from a finger to those that it is compared with, within its block
PAIRS = 500  # of the validation split, whose matches are judged


class HasResolution(Protocol):
    """What there is to be known of an impression here."""

    @property
    def ppi(self) -> float:
        """Of its image."""


T = TypeVar("T", bound=HasResolution)
Draw = Callable[[T], tuple[NDArray[np.uint8], Any]]  # an impression → its image, and more
Judged = tuple[Array, NDArray[np.bool_]]  # values [N], and of which of them it is true


def calibrate(
    checkpoint: Path,
    shards: ShardSet,
    fingers: Sequence[Sequence[T]],
    draw: Draw[T],
    workers: int | None = None,
) -> str:
    """Fit the curves of the .safetensors at `checkpoint`, write them into it, tell how they hold.

    fingers: an even number of impressions of each, for `draw` to make. shards: the set that the
    network was trained on. Fault where it is of other crops, or the network tells nothing apart.
    """
    loaded = weights.load(checkpoint)
    matches = confidences(loaded, shards)
    prints = agreements(checkpoint, fingers, draw, workers)
    try:
        found = calibration.CalibrationCurves(
            *logistic_regression(*prints),
            *logistic_regression(calibration.log_odds(matches[0]), matches[1]),
        )
    except ValueError as error:
        raise Fault(f"{checkpoint}: cannot be calibrated, train it longer: {error}") from error
    export.add(checkpoint, weights.calibration_metadata(found))
    return describe(found, prints, matches)


def confidences(checkpoint: weights.Checkpoint, shards: ShardSet) -> Judged:
    """The network's confidence in its matches on PAIRS validation pairs, and which are right."""
    count = shards.count("val")
    if not count:
        raise Misuse(f"{shards.directory}: holds no pairs of the split 'val'")
    pairs.check_view(shards, checkpoint.geometry)
    chosen = np.random.default_rng(0).choice(count, min(PAIRS, count), replace=False)
    network, parts = WindowNetwork(checkpoint), []
    with Progress("matches", len(chosen), "pairs") as progress:
        for k in sorted(chosen.tolist()):
            parts.append(_judge(network, record.decode(shards.read("val", [k])[0])))
            progress.advance()
    confidence, right = map(np.concatenate, zip(*parts, strict=True))
    return confidence, right


def agreements(
    checkpoint: Path, fingers: Sequence[Sequence[T]], draw: Draw[T], workers: int | None = None
) -> Judged:
    """How far ridges agree in pairs of whole prints, and which of them are of one finger.

    The impressions of a finger are compared two by two, and its first with the second of two
    others. One on which too little of a finger is seen is in no pair.
    """
    blocks = [fingers[k : k + BLOCK] for k in range(0, len(fingers), BLOCK)]
    work = functools.partial(_compare, checkpoint, draw)
    found: list[tuple[float, bool]] = []
    with (
        Progress("prints", len(fingers), "fingers") as progress,
        contextlib.closing(pool.run(work, blocks, workers)) as results,
    ):
        for block, part in zip(blocks, results, strict=True):
            found += part
            progress.advance(len(block))
    agreed, genuine = zip(*found, strict=True) if found else ((), ())
    return np.array(agreed, np.float64), np.array(genuine, bool)


def logistic_regression(values: Array, true: NDArray[np.bool_]) -> tuple[float, float]:
    """Offset and slope of the log odds of `true` [N] by `values` [N], to four decimals.

    Of greatest likelihood under Platt's targets, which stay off 0 and 1 by what so many examples
    leave open: it exists, too, where the values part the two kinds wholly. ValueError where one
    kind is missing.
    """
    from scipy.optimize import minimize

    right, wrong = int(true.sum()), int((~true).sum())
    if not right or not wrong:
        raise ValueError(f"found {right} true and {wrong} false answers, expected some of both")
    target = np.where(true, (right + 1) / (right + 2), 1 / (wrong + 2))

    def loss(line: Array) -> tuple[float, Array]:
        odds = line[0] + line[1] * values
        off = calibration.logistic(odds) - target
        slope = np.array([off.mean(), (off * values).mean()])
        return float((np.logaddexp(0, odds) - target * odds).mean()), slope

    found = minimize(loss, np.zeros(2), jac=True, method="BFGS", options={"gtol": 1e-8})
    offset, slope = found.x.round(4).tolist()
    return offset, slope


def describe(found: calibration.CalibrationCurves, prints: Judged, matches: Judged) -> str:
    """The curves, and how far they hold of the very answers that they were fitted to."""
    (agreement, genuine), (confidence, right) = prints, matches
    same, other = agreement[genuine], agreement[~genuine]
    stated = calibration.logistic(found.score_offset + found.score_slope * agreement)
    likely = found.match_probability(confidence)
    return (
        f"score: offset {found.score_offset:g}, slope {found.score_slope:g}, calibration error"
        f" {_error(stated, genuine):.3f}; ridges of {len(same)} pairs of one finger agree to"
        f" {np.quantile(same, 0.01):.2f} or more in 99 of 100, of {len(other)} of two to"
        f" {other.max():.2f} at most\n"
        f"matches: offset {found.match_offset:g}, slope {found.match_slope:g}, calibration error"
        f" {_error(likely, right):.3f}, of the bare confidence {_error(confidence, right):.3f};"
        f" {right.mean():.0%} of {len(right):,} are right to {metrics.DEFAULT.tolerance:g} px"
    )


def _judge(network: WindowNetwork, pair: record.Pair) -> Judged:
    """The confidence of the matches of one pair, and which are right to metrics.DEFAULT.tolerance px."""
    config = network.config
    found = network.match(network.features(pair.image_a), network.features(pair.image_b))
    true, seen = jnp.asarray(pair.map_ab[None]), jnp.asarray(pair.visible[None])
    truth, visible = pool_truth(true, seen, config.cells)
    away = np.linalg.norm(found.points - truth, axis=-1) * network.scale
    said = np.asarray(found.mutual & (found.confidence > DEFAULT.least_confidence))
    right = np.asarray(visible) & (away <= metrics.DEFAULT.tolerance)
    return np.asarray(found.confidence, np.float64)[said], right[said]


def _compare(
    checkpoint: Path, draw: Draw[T], block: Sequence[Sequence[T]], stop: Callable[[], bool]
) -> list[tuple[float, bool]]:
    """The agreement in each pair of a block, and whether it is of one finger."""
    registrar = _ready(checkpoint)
    opened: dict[tuple[int, int], PreparedImpression] = {}
    for finger, impressions in enumerate(block):
        for k, impression in enumerate(impressions):
            if stop():
                return []
            with contextlib.suppress(Fault):  # too little of a finger is on it
                opened[finger, k] = registrar.prepare(draw(impression)[0], impression.ppi)
    pairs = (pair for pair in _pairs(block) if opened.keys() >= set(pair))
    return [
        (_agreement(registrar, opened[a], opened[b]), a[0] == b[0])
        for a, b in itertools.takewhile(lambda _: not stop(), pairs)
    ]


def _agreement(registrar: Registrar, a: PreparedImpression, b: PreparedImpression) -> float:
    """How far the ridges of two prints agree, as they are registered."""
    return registrar.find_deformation(*sorted((a, b), key=lambda print_: print_.rank))[2]


@functools.lru_cache(1)
def _ready(checkpoint: Path) -> Registrar:
    """A process's network."""
    compilation_cache.enable()
    return Registrar(checkpoint)


def _pairs(block: Sequence[Sequence[object]]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """The pairs of a block, as (finger, impression) of either print."""
    for finger, impressions in enumerate(block):
        for k in range(0, len(impressions), 2):
            yield (finger, k), (finger, k + 1)
        for away in sorted({away % len(block) for away in AWAY} - {0}):
            yield (finger, 0), ((finger + away) % len(block), 1)


def _error(stated: Array, true: NDArray[np.bool_]) -> float:
    return confidence.calibration_error(confidence.by_confidence(stated, true))
