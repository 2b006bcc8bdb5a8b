"""Which parts of the network pay at equal time on a CPU?

    python tests/experiments/equal_time.py SHARDS OUT --seconds 120 --seconds 480

trains configs/vit_small.py with four pairs of attention layers, one and none, with linear
attention, and the network that ships. Each has its own whole schedule, over the steps that take so
many core-seconds (measured first; compilation comes on top), by tests/experiments/learns.py. Then
prints PCK@8 on the first pairs of the validation split with 95 % intervals over fingers, its
difference from that of four layers on the same pairs, and when four layers would draw level, if the
gap went on to change as it did. What is trained already is only measured. Not a test: an hour of
one core. Results: docs/RESULTS.md, "Does the published network learn?".
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

import click
import numpy as np

from model.network import weights
from model.registration.calibration import log_odds
from shards import record
from shards.store import open_set
from train.evaluation import bootstrap
from train.evaluation.pairs import compile_network
from train.loader import evaluation_batches

SMALL, SHIPPED = "configs/vit_small.py", "configs/shipped.py"
VARIANTS = {
    "four": (SMALL, ()),
    "one": (SMALL, ("model.layers=1",)),
    "none": (SMALL, ("model.layers=0",)),
    "linear": (SMALL, ("model.attention=linear",)),
    "shipped": (SHIPPED, ()),
}
FIRST_STEPS, LAST_STEPS = 20, 120  # between which the time of a step is measured
LATEST = 1000.0  # hours; what is later, or never, counts as this
BATCH, LIMIT = 16, 8.0  # pairs; px at 500 ppi


def train(variant, steps, shards, out):
    """Train a variant unless OUT holds its network; return what is known of each step."""
    config, overrides = VARIANTS[variant]
    if not (out / "network.safetensors").exists():
        sets = [f"--set={text}" for text in (f"train.steps={steps}", *overrides)]
        script = ROOT / "tests/experiments/learns.py"
        command = [sys.executable, script, shards, out, f"--config={ROOT / config}", *sets]
        few = ("--validate-every=1000000", "--validation-pairs=8")
        subprocess.run([*map(str, command), *few], check=True)
    return [json.loads(line) for line in (out / "steps.jsonl").read_text().splitlines()]


def step_seconds(variant, shards, out):
    """Core-seconds of a step, without compilation."""
    lines = train(variant, LAST_STEPS, shards, out / f"cost_{variant}")
    spent = lines[-1]["core_seconds"] - lines[FIRST_STEPS - 1]["core_seconds"]
    return spent / (LAST_STEPS - FIRST_STEPS)


def right_and_visible(network, shards, pairs):
    """Visible cells within LIMIT and all visible cells of each validation pair, each [P]."""
    checkpoint = weights.load(network)
    run = compile_network(checkpoint.net, checkpoint.geometry)
    rows = []
    for batch, size in evaluation_batches(shards, "val", BATCH, np.arange(pairs)):
        arrays, _ = run(batch)
        visible, error = arrays["visible"][:size], arrays["error"][:size]
        rows.append(np.stack([(visible & (error <= LIMIT)).sum(1), visible.sum(1)]))
    return np.concatenate(rows, 1)


def with_interval(replicas):
    """The value of all pairs, the first one, and the interval of the others, as text."""
    low, high = bootstrap.percentile_interval(replicas[1:])
    return f"{replicas[0]:.3f} ({low:.3f} to {high:.3f})"


def closing_hours(early, late, first, last):
    """Hours until a gap closes that shrinks as much with every equal factor of time; or LATEST."""
    shrinks = np.where(early > late, early - late, np.nan)
    factors = np.maximum(late, 0) / shrinks  # of last / first, beyond `last`
    with np.errstate(over="ignore"):
        hours = last / 3600 * (last / first) ** factors
    return np.minimum(np.nan_to_num(hours, nan=LATEST), LATEST)


@click.command()
@click.argument("shards", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seconds", multiple=True, type=int, default=(120, 480), help="Of a core.")
@click.option("--validation-pairs", default=1200)
def main(shards, out, seconds, validation_pairs):
    """Train on SHARDS, keep the networks in OUT, and compare them."""
    out.mkdir(parents=True, exist_ok=True)
    costs = {name: step_seconds(name, shards, out) for name in VARIANTS}
    opened = open_set(shards)
    records = [record.decode(opened.read("val", [k])[0]) for k in range(validation_pairs)]
    fingers = [[getattr(pair, f"finger_{side}") for pair in records] for side in "ab"]
    resampled = bootstrap.resample_weights(*fingers)
    weighted = np.concatenate([np.ones((1, validation_pairs)), resampled])
    shares = {}  # {(variant, seconds): replicas [1 + R]}, the first one of all pairs
    for budget in seconds:
        for name, cost in costs.items():
            folder = out / f"{name}_{budget}"
            lines = train(name, int(budget / cost), shards, folder)
            sums = right_and_visible(folder / "network.safetensors", opened, validation_pairs)
            shares[name, budget] = (weighted @ sums[0]) / (weighted @ sums[1])
            gain = shares[name, budget] - shares["four", budget]
            click.echo(
                f"{name}: {len(lines)} steps, {lines[-1]['core_seconds']:.0f} core-seconds,"
                f" PCK@8 {with_interval(shares[name, budget])},"
                f" from four layers {with_interval(gain)}"
            )
    first, last = min(seconds), max(seconds)
    for name in (name for name in VARIANTS if name != "four"):
        for scale, transform in (("shares", np.asarray), ("log odds", log_odds)):
            early, late = (
                transform(shares[name, budget]) - transform(shares["four", budget])
                for budget in (first, last)
            )
            hours = with_interval(closing_hours(early, late, first, last))
            click.echo(f"{name}: four layers draw level after {hours} h ({scale})")


if __name__ == "__main__":
    main()
