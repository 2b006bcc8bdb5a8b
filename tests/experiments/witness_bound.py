"""How many reference minutiae can a smooth map confirm? An upper bound on real impressions.

    python tests/experiments/witness_bound.py FVC2002/DB1_B MINUTIAE.npz

Prints, for six genuine pairs of each finger, the mean confirmed share of the rigid oracle, of the
network that ships (on the foreground, and with its deformation continued over the whole frame), and
of the best map that has seen the answer: smooth displacements are fitted to the reference minutiae
themselves. What no such map confirms are minutiae that were found in one impression only, or that
lie beyond the other one. Images of 500 ppi. Not a test: two minutes a set. Results: docs/LOG.md,
2026-11-30, "Where minutiae are lost".
"""

from __future__ import annotations

import functools
import itertools
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

import click
import numpy as np

from model.__main__ import SHIPPED
from model.registration.registrar import Registrar
from pipeline.imaging import cropping
from shards.foundation.progress import Progress
from train.evaluation import reference_minutiae as reference
from train.evaluation.impression_folder import find_impressions

PAIRS = 6  # of each finger
SKINS = ((110.0, 20.0), (60.0, 10.0), (40.0, 6.0))  # px: correlation length, standard deviation
NOISE = 2.0  # px, standard error of a minutia's position
SEARCHED = (24, 20, 16, 14, 12, 12, 10, 10, 8, 8)  # px around a mapped minutia, one fit each


def fitted(start, points, targets, skin):
    """`start` plus the Gaussian process that takes it to `targets` [K, 2] at `points` [K, 2]."""
    length, deviation = skin

    def covariance(a, b):
        squares = ((a[:, None] - b) ** 2).sum(-1)
        return deviation**2 * np.exp(-squares / (2 * length**2))

    observed = covariance(points, points) + NOISE**2 * np.eye(len(points))
    coefficients = np.linalg.solve(observed, targets - start(points))
    return lambda wanted: start(wanted) + covariance(wanted, points) @ coefficients


def best_share(a, b, start):
    """The largest share of the minutiae that a smooth map near `start` confirms."""
    best = reference.share(len(reference.distances(a, b, start)), a, b)
    for skin in SKINS:
        point_map = start
        for distance in SEARCHED:
            wide = replace(reference.DEFAULT, max_distance=float(distance))
            rows, columns = reference.mates(a, b, point_map, wide).T
            if len(rows) < 3:
                break
            point_map = fitted(start, a[rows, :2], b[columns, :2], skin)
            share = reference.share(len(reference.distances(a, b, point_map)), a, b)
            best = max(best, share)
    return best


def on_foreground(deformation, a, b, points):
    """A deformation where both impressions have their foreground, else NaN."""
    mapped = deformation(points)
    valid = cropping.on_finger(a.prepared, points) & cropping.on_finger(b.prepared, mapped)
    return np.where(valid[:, None], mapped, np.nan)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("minutiae", type=click.Path(path_type=Path))
def main(folder, minutiae):
    """Measure the set in FOLDER."""
    fingers = find_impressions(folder)
    known = reference.load(minutiae, itertools.chain(*fingers.values()))
    registrar, random = Registrar(SHIPPED), np.random.default_rng(0)
    prepare = functools.cache(registrar.prepare_file)
    pairs = []
    for files in fingers.values():
        all_pairs = list(itertools.combinations(files, 2))
        pairs += [all_pairs[k] for k in sorted(random.permutation(len(all_pairs))[:PAIRS])]
    progress, rows = Progress("pairs", len(pairs), "pairs"), []
    for files in pairs:
        file_a, file_b = sorted(files, key=lambda file: prepare(file).rank)
        impression_a, impression_b = prepare(file_a), prepare(file_b)
        a, b = known[file_a.name], known[file_b.name]
        oracle, rigid = reference.rigid_oracle(a, b)
        shares = [oracle, 0.0, 0.0, best_share(a, b, rigid)]
        deformation = registrar.find_deformation(impression_a, impression_b).deformation
        if deformation is not None:
            mapped = functools.partial(on_foreground, deformation, impression_a, impression_b)
            for k, point_map in ((1, mapped), (2, deformation)):
                shares[k] = reference.share(len(reference.distances(a, b, point_map)), a, b)
            shares[3] = max(shares[3], best_share(a, b, deformation))
        rows.append(shares)
        progress.advance(1)
    progress.close()
    names = ("rigid oracle", "on the foreground", "over the frame", "fitted to the minutiae")
    means = zip(names, np.mean(rows, 0), strict=True)
    click.echo(f"{folder.name}: " + ", ".join(f"{name} {value:.3f}" for name, value in means))


if __name__ == "__main__":
    main()
