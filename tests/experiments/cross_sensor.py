"""Does the score tell fingers of different sensors apart?

    python tests/experiments/cross_sensor.py OUT DB1=FVC2002/DB1_B DB3=FVC2002/DB3_B …

Registers the first impression of each finger of one folder with that of each finger of every other
one by the network that ships, and prints the false match rate at several thresholds. No finger may
be in two folders; further ones come from `python -m pipeline synth`. The same command continues
after an interruption. Not a test: half a second a pair. Results: docs/RESULTS.md.
"""

from __future__ import annotations

import csv
import itertools
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

import click
import numpy as np

from model.__main__ import SHIPPED
from model.registration import pair_table
from model.registration.register_table import SCORES, register_table
from train.evaluation import bootstrap
from train.evaluation.impression_folder import find_impressions

THRESHOLDS = (0.5, 0.7, 0.9, 0.99)
TABLE = "pairs.csv"


def report(name, rows):
    """Print the false match rates of the rows of a table of scores."""
    scores = np.array([float(row.score) for row in rows])
    rates = ", ".join(f"{(scores >= t).mean():.2%} at {t}" for t in THRESHOLDS)
    highest = ", ".join(f"{score:.2f}" for score in sorted(scores)[:-4:-1])
    mapped = sum("no map" not in row.notes for row in rows)
    click.echo(f"{name}: {len(rows)} pairs, FMR {rates}; highest {highest}; {mapped} with a map")


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("sets", nargs=-1, metavar="NAME=DIR…", required=True)
def main(out, sets):
    """Register the pairs, with the results in OUT, and print the rates by two sets and of all."""
    folders = dict(item.split("=", 1) for item in sets)
    first = {
        name: [impressions[0] for impressions in find_impressions(Path(folder).resolve()).values()]
        for name, folder in folders.items()
    }
    between, pairs = {}, []
    for names in itertools.combinations(first, 2):
        products = list(itertools.product(*(first[name] for name in names)))
        between[names] = range(len(pairs), len(pairs) + len(products))
        pairs += products
    out.mkdir(parents=True, exist_ok=True)
    with (out / TABLE).open("w", newline="") as file:
        csv.writer(file).writerows([("a", "b"), *pairs])
    failed = register_table(SHIPPED, out / TABLE, out / "registered", maps=False)
    if failed:
        raise click.ClickException("\n".join(failed))
    rows = {row.row: row for row in pair_table.read_scores(out / "registered" / SCORES)}
    for names, numbers in between.items():
        report(" × ".join(names), [rows[number] for number in numbers])
    report("all", list(rows.values()))
    fingers = sum(map(len, first.values()))
    bound = bootstrap.zero_error_bound(fingers, fingers_of_a_pair=2)
    click.echo(f"{fingers} fingers: no false match means at most {bound:.1%} (95 %, rule of three)")


if __name__ == "__main__":
    main()
