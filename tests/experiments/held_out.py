"""How well does the network that ships register and judge synthetic pairs that no fit has seen?

    python tests/experiments/held_out.py --seed 98 --fingers 60

Synthesizes fingers of a seed that neither the training (7) nor the calibration (99) uses, registers
the pairs of impressions that a calibration would, and prints the error rates of the score, its
calibration error, the accuracy of the maps and the shares of their true errors within one and two
`sigma`: for impressions as the generator samples them and for those in a hard manner
(`pipeline.calibration_touches`). Not a test: a second a pair. Results: docs/RESULTS.md.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

import click
import numpy as np

from model.__main__ import SHIPPED
from model.network import compilation_cache, metrics
from model.registration.registrar import Registrar
from pipeline import calibration_touches
from pipeline.imaging import cropping
from pipeline.imaging.warp import apply_affine, invert_affine
from shards.foundation.errors import Fault
from shards.foundation.progress import Progress
from train.evaluation import confidence
from train.evaluation.calibration_samples import DEFAULT, PreparedTouch, list_pairs

POINTS = 300  # at which a map is compared with the truth
CANDIDATES = 40 * POINTS  # px of A from which they are taken
THRESHOLDS = (0.5, 0.7, 0.9)  # of the score
QUANTILES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97, 1.0)  # of sigma, limits of its rows


@dataclass
class Pair:
    """A registered pair; errors and sigma are px at 500 ppi, NaN without a map."""

    hard: bool
    genuine: bool
    score: float
    mapped: bool
    errors: np.ndarray  # [K, 2] along x and y; none of an impostor pair
    sigma: np.ndarray  # [K]
    stated: np.ndarray  # [M], probability of each match; none of an impostor pair
    right: np.ndarray  # [M], whether it is right to 8 px


def common_points(a, b, rng):
    """Pixels [K, 2] of A on both foregrounds, and where the truth takes them in B."""
    y, x = np.indices(a.impression.shape).reshape(2, -1)
    pixels = np.c_[x, y][rng.permutation(len(x))[:CANDIDATES]]
    truth = b.to_master.inverse(a.to_master(pixels.astype(np.float64)))
    on_both = on_finger(a, pixels) & on_finger(b, truth)
    return pixels[on_both][:POINTS], truth[on_both][:POINTS]


def on_finger(touch, points):
    """Return which points [K, 2] of the file lie on the foreground."""
    prepared = touch.impression.prepared
    return cropping.on_finger(prepared, apply_affine(invert_affine(prepared.to_original), points))


def measure(registrar, a, b, hard, rng):
    """Register a genuine pair and compare its map with the truth."""
    result = registrar.register_impressions(a.impression, b.impression)
    pixels, truth = common_points(a, b, rng)
    x, y = pixels.T
    scale = 500 / b.impression.resolution.ppi
    sigma = result.sigma[y, x] if result.sigma is not None else np.full(len(x), np.nan)
    errors = scale * (result.map_ab[y, x] - truth)
    off = result.matches[:, 2:4] - b.to_master.inverse(a.to_master(result.matches[:, :2]))
    right = scale * np.hypot(*off.T) <= metrics.DEFAULT.tolerance
    stated = result.matches[:, 4].astype(np.float64)
    return Pair(hard, True, result.score, not result.refusal, errors, scale * sigma, stated, right)


def register_block(registrar, block, rng):
    """Yield the pairs of fingers that follow each other."""
    touches = {}
    for finger, impressions in enumerate(block):
        for number, impression in enumerate(impressions):
            with contextlib.suppress(Fault):  # it shows too little of a finger
                image, to_master = calibration_touches.synthesize(impression)
                prepared = registrar.prepare(image, impression.ppi)
                touches[finger, number] = PreparedTouch(prepared, to_master)
    for first, second in list_pairs(block):
        if first not in touches or second not in touches:
            continue
        a, b = touches[first], touches[second]
        hard = first[1] >= calibration_touches.DEFAULT.usual
        if first[0] == second[0]:
            yield measure(registrar, a, b, hard, rng)
        else:
            result = registrar.register_impressions(a.impression, b.impression)
            none = np.zeros(0)
            errors = np.zeros((0, 2))
            yield Pair(hard, False, result.score, not result.refusal, errors, none, none, none)


def report(name, pairs):
    """Print what the pairs of a group show."""
    genuine = [pair for pair in pairs if pair.genuine]
    impostors = [pair for pair in pairs if not pair.genuine]
    scores = np.array([pair.score for pair in pairs])
    labels = np.array([pair.genuine for pair in pairs])
    calibration = confidence.calibration_error(confidence.by_confidence(scores, labels))
    highest = ", ".join(f"{score:.2f}" for score in sorted(scores[~labels])[:-4:-1])
    fnmr = ", ".join(f"{(scores[labels] < t).mean():.1%} at {t}" for t in THRESHOLDS)
    errors = np.concatenate([pair.errors for pair in genuine])
    sigma = np.concatenate([pair.sigma for pair in genuine])
    distance = np.hypot(*errors.T)
    click.echo(
        f"{name}: {len(genuine)} genuine pairs, {sum(not p.mapped for p in genuine)} without a map;"
        f" {len(impostors)} impostor pairs, {sum(p.mapped for p in impostors)} with a map, the"
        f" highest scores {highest}; FNMR {fnmr}; calibration error {calibration:.3f}\n"
        f"  maps: PCK@4 {(distance <= 4).mean():.3f}, median error {np.nanmedian(distance):.2f} px"
    )
    stated = np.concatenate([pair.stated for pair in genuine])
    right = np.concatenate([pair.right for pair in genuine])
    off = confidence.calibration_error(confidence.by_confidence(stated, right))
    click.echo(
        f"  {len(right):,} matches: stated {stated.mean():.3f}, right {right.mean():.3f},"
        f" calibration error {off:.3f}"
    )
    known = np.isfinite(sigma) & np.isfinite(distance)
    sigma, errors = sigma[known], np.abs(errors[known])
    radial = [(np.hypot(*errors.T) <= k * sigma).mean() for k in (1, 2)]
    click.echo(f"  radial errors within one and two sigma: {radial[0]:.3f}, {radial[1]:.3f}")
    within(f"  all {len(sigma):,} points", sigma, errors)
    limits = np.quantile(sigma, QUANTILES)
    limits[-1] = np.inf
    for k, (low, high) in enumerate(itertools.pairwise(limits)):
        part = (sigma >= low) & (sigma < high)
        within(f"  {QUANTILES[k + 1] - QUANTILES[k]:4.0%}", sigma[part], errors[part])


def within(name, sigma, errors):
    """Print the shares of the errors [K, 2] along an axis within one and two sigma [K]."""
    one, two = ((errors <= k * sigma[:, None]).mean() for k in (1, 2))
    rms = np.sqrt((errors**2).mean())
    click.echo(f"{name}: sigma {sigma.mean():.2f} px, {one:.3f}, {two:.3f}, rms error {rms:.2f} px")


@click.command()
@click.option("--seed", type=int, default=98, show_default=True, help="Of the fingers.")
@click.option("--fingers", type=int, default=60, show_default=True)
def main(seed, fingers):
    """Register the pairs and print both groups."""
    compilation_cache.enable()
    registrar, rng, pairs = Registrar(SHIPPED), np.random.default_rng(0), []
    listed = calibration_touches.list_fingers(
        fingers, replace(calibration_touches.DEFAULT, seed=seed, partition="synthetic/held_out")
    )
    size = DEFAULT.fingers_per_block
    with Progress("impressions", fingers, "fingers") as progress:
        for start in range(0, fingers, size):
            block = listed[start : start + size]
            pairs += register_block(registrar, block, rng)
            progress.advance(len(block))
    report("as sampled", [pair for pair in pairs if not pair.hard])
    report("hard", [pair for pair in pairs if pair.hard])


if __name__ == "__main__":
    main()
