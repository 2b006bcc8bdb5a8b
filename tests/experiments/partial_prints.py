"""How well are small parts of prints registered?

    python tests/experiments/partial_prints.py FVC2002/DB1_B FVC2004/DB1_B …

Cuts squares out of impressions and registers each with another whole impression of its finger, and
with one of another finger, by the network that ships. What the map of a part should be is that of
the whole impression, where this has one of score 0.9 or more. Further folders of impressions come
from `python -m pipeline synth`. Not a test: two seconds a part. Results: docs/LOG.md, "Small parts
of prints".
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

import click
import numpy as np

from model.__main__ import SHIPPED
from model.network import compilation_cache
from model.registration.registrar import Registrar
from pipeline.imaging import file
from shards.foundation import pool
from shards.foundation.errors import Fault
from train.evaluation.impression_folder import find_impressions

SIDES = (110, 150, 200)  # px at 500 ppi
PARTS = 2  # of each finger and side
LEAST_FINGER = 0.8  # of a part's px that show the finger
CERTAIN = 0.9  # score of whole impressions whose map counts as the truth
RIGHT = 4.0  # px, median distance from that map
ACCEPTED = 0.7  # score, recommended threshold
THRESHOLDS = (0.25, 0.5, 0.7, 0.9)


class Task(NamedTuple):
    """One finger: its files, one of another finger, and a seed."""

    paths: list[Path]
    other: Path
    seed: int


class Outcome(NamedTuple):
    """One registration of a part.

    `error` is the median distance in px from the map of the whole impression, and `within` holds
    the shares of distances along an axis within one and two `sigma`; NaN without a map, and for
    impostor pairs.
    """

    side: int
    genuine: bool
    is_inverted: bool  # the part was
    score: float
    is_sign_right: bool
    error: float
    within: tuple[float, float]


def cut(image, mask, side, rng):
    """Return the corner (x, y) of a square that shows the finger; None where there is none."""
    height, width = image.shape
    if min(height, width) < side:
        return None
    for _ in range(50):
        x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        if mask[y : y + side, x : x + side].mean() >= LEAST_FINGER:
            return x, y
    return None


@functools.cache
def _registrar():
    compilation_cache.enable()
    return Registrar(SHIPPED)


def register_parts(task, stop):
    """Return the outcomes of a finger."""
    registrar, rng, outcomes = _registrar(), np.random.default_rng(task.seed), []
    other = registrar.prepare_file(task.other)
    for side in SIDES:
        for _ in range(PARTS):
            first, second = rng.choice(len(task.paths), 2, replace=False)
            image = file.load(task.paths[first]).stored
            a, b = (registrar.prepare_file(task.paths[k]) for k in (first, second))
            corner = cut(image, a.foreground, side, rng)
            whole = registrar.register_impressions(a, b)
            if corner is None or whole.score < CERTAIN:
                continue
            x, y = corner
            part = image[y : y + side, x : x + side]
            truth = whole.map_ab[y : y + side, x : x + side]
            for is_inverted in (False, True):
                shown = 255 - part if is_inverted else part
                for genuine, partner in ((True, b), (False, other)):
                    outcome = register(registrar, shown, partner, truth, genuine, is_inverted)
                    outcomes += [outcome] if outcome else []
    return outcomes


def register(registrar, part, partner, truth, genuine, is_inverted):
    """Return the outcome of one part; None where it shows too little to be prepared."""
    try:
        prepared = registrar.prepare(np.ascontiguousarray(part), 500)
    except Fault:
        return None
    result = registrar.register_impressions(prepared, partner)
    found = np.isfinite(result.map_ab[..., 0]) & np.isfinite(truth[..., 0])
    error, within = np.nan, (np.nan, np.nan)
    if genuine and found.any():
        offset = (result.map_ab - truth)[found]
        error = float(np.median(np.hypot(*offset.T)))
        deviations = np.abs(offset) / result.sigma[found][:, None]
        within = float((deviations < 1).mean()), float((deviations < 2).mean())
    sign_right = result.opposite_polarity == is_inverted
    return Outcome(len(part), genuine, is_inverted, result.score, sign_right, error, within)


def report(outcomes):
    """Print the outcomes by side of the part."""
    for side in SIDES:
        for is_inverted in (False, True):
            of_side = [o for o in outcomes if (o.side, o.is_inverted) == (side, is_inverted)]
            mapped = [o for o in of_side if o.genuine and np.isfinite(o.error)]
            accepted = [o for o in mapped if o.score >= ACCEPTED]
            wrong = sum(o.error > RIGHT for o in accepted)
            signs = sum(not o.is_sign_right for o in accepted)
            within = np.mean([o.within for o in accepted] or [(np.nan, np.nan)], 0)
            genuine = sum(o.genuine for o in of_side)
            scores = np.array([o.score for o in of_side if not o.genuine])
            rates = ", ".join(f"{(scores >= t).sum()} from {t}" for t in THRESHOLDS)
            click.echo(
                f"{side} px{', inverted' if is_inverted else ''}: {genuine} genuine, {len(mapped)}"
                f" with a map, {len(accepted)} from {ACCEPTED:g}, of these {wrong} more than"
                f" {RIGHT:g} px off, {signs} of the wrong sign; within one and two sigma"
                f" {within[0]:.2f}, {within[1]:.2f}; {len(scores)} impostors: {rates}, highest"
                f" {max(scores, default=np.nan):.2f}"
            )


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), required=True)
@click.option("--seed", default=0)
def main(folders, seed):
    """Register parts of all impressions in the folders, and print how well."""
    tasks = []
    for k, folder in enumerate(folders):
        fingers = list(find_impressions(folder.resolve()).values())
        others = [paths[0] for paths in (*fingers[1:], fingers[0])]
        for n, (paths, other) in enumerate(zip(fingers, others, strict=True)):
            tasks.append(Task(paths, other, 10_000 * seed + 100 * k + n))
    report([outcome for of in pool.run(register_parts, tasks) for outcome in of])


if __name__ == "__main__":
    main()
