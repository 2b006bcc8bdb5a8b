"""Measure the worth of each ingredient of the synthetic fingers for real impressions.

    python tests/experiments/ablation.py whole OUT FVC2002/DB1_B FVC2002/DB3_B

trains a small network on fingers synthesized without one ingredient, with the same number of steps
and the same seeds, and prints the share of its matches between real impressions that agree with the
map of the shipped network (genuine pairs whose ridges correlate under that map). Not a test: five
minutes of one core each. Results: docs/LOG.md, 2026-11-23, "What each ingredient is worth".
"""

import functools
import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

import click
import numpy as np

from model.__main__ import SHIPPED
from model.registration.impression import PreparedImpression
from model.registration.registrar import Registrar
from pipeline import __main__ as pipeline
from pipeline.synthesis import generate
from pipeline.synthesis.generate import ImpressionParameters
from pipeline.synthesis.manner import DISPLACED, HARD, LIGHT, PLAIN, MannerParameters
from pipeline.synthesis.sensor import OPTICAL
from train.evaluation.impression_folder import find_impressions

CONFIG = ROOT / "configs" / "shipped.py"
FINGERS, IMPRESSIONS = 110, 8
STEPS = 2000  # of 4 pairs
PAIR_STRIDE = 3  # every third pair is measured
DISTANCES = (4.0, 9.0)  # px at 500 ppi: half a ridge period, and one
CORRELATED = 0.4  # ridge correlation that impostor pairs do not reach


def with_manners(hard=HARD, **fields):
    """Impressions whose manners all have `fields` replaced."""
    hard = tuple(replace(manner, **fields) for manner in hard)
    return ImpressionParameters(MannerParameters(hard=hard, plain=replace(PLAIN, **fields)))


def without_distortion():
    return with_manners(twist_deviation=0.0, slip_deviation=0.0, stretch_deviation=0.0)


def without_dryness():
    zero = (0.0, 0.0)
    return with_manners(dryness_range=zero, moisture_range=zero, pressure_shift=0.0)


def without_partial_contact():
    """All of the finger, in the middle of the image."""
    hard = tuple(manner for manner in HARD if manner not in (LIGHT, DISPLACED))
    return with_manners(hard, roll_deviation=0.0, shift_deviation=(6.0, 6.0))


def without_hard_touches():
    return ImpressionParameters(MannerParameters(hard_share=0.0))


VARIANTS = {  # ingredient that is left out → parameters of the impressions
    "whole": ImpressionParameters,
    "distortion": without_distortion,
    "dryness": without_dryness,
    "sensors": ImpressionParameters,  # all but the optical one
    "contact": without_partial_contact,
    "hard": without_hard_touches,
    "stretch": ImpressionParameters,  # a setting of the pairs, not of the fingers
}


def leave_out(ingredient):
    """Make the generator of this process synthesize impressions without `ingredient`."""
    options = {"styles": (OPTICAL,)} if ingredient == "sensors" else {}
    generate.sample_style = functools.partial(generate.sample_style, **options)
    generate.synthesize_impression = functools.partial(
        generate.synthesize_impression, parameters=VARIANTS[ingredient](), **options
    )


@click.command()
@click.argument("ingredient", type=click.Choice(list(VARIANTS)))
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("real", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@click.option("--images", help="A folder of synthetic/shipped, by another generator.")
@click.option("--seed", default=0, show_default=True, help="Of the training.")
def main(ingredient, out, real, images, seed):
    """Train without INGREDIENT in the folder OUT, and measure on the REAL folders."""
    leave_out(ingredient)
    generated = {"fingers": FINGERS, "impressions": IMPRESSIONS}
    spec = {"stretch": 0.0} if ingredient == "stretch" else {}
    build(out / "shards", spec | ({} if images else generated), images)
    run = out / f"run{seed}"
    train(out / "shards", run, seed)
    for folder in real:
        result = measure(run / "dense_reg_ckpt.safetensors", folder)
        click.echo(f"{out.name}, seed {seed}, {folder.name}: {result}")


def build(shards, spec, images):
    """Build the shards in this process, whose generator leaves out the ingredient."""
    settings = [f"--set=pipeline.{key}={value}" for key, value in spec.items()]
    data = ["--data", images] if images else []
    command = ["build", "--config", str(CONFIG), "--out", str(shards), "--workers", "1"]
    pipeline.main([*command, "--skip-bad", *data, *settings], standalone_mode=False)


def train(shards, run, seed):
    """Train the network of CONFIG for STEPS in another process."""
    values = {"train.epochs": 1, "train.steps": STEPS, "train.seed": seed}
    settings = [f"--set={key}={value}" for key, value in values.items()]
    command = [sys.executable, "-m", "train", "run", "--config", str(CONFIG), "--shards"]
    folders = [str(shards.resolve()), "--checkpoint-dir", str(run.resolve())]
    subprocess.run([*command, *folders, *settings], cwd=ROOT, check=True, stdout=sys.stderr)


def measure(checkpoint, folder):
    """Describe how many matches of the checkpoint are right, and how many pairs it aligns."""
    reference, tested = Registrar(SHIPPED), Registrar(checkpoint)
    shares, aligned = [], []
    for paths in find_impressions(folder).values():
        prepared = [reference.prepare_file(path) for path in paths]
        for pair in list(itertools.combinations(prepared, 2))[::PAIR_STRIDE]:
            a, b = sorted(pair, key=lambda impression: impression.rank)
            _, deformation, correlation = reference.find_deformation(a, b)
            if correlation <= CORRELATED:
                continue
            a, b = PreparedImpression(a.shape, a.prepared), PreparedImpression(b.shape, b.prepared)
            matches = tested.match(a, b)  # without the features of the reference network
            errors = np.hypot(*(deformation(matches[:, :2]) - matches[:, 2:4]).T)
            shares.append([(errors < distance).mean() for distance in DISTANCES])
            aligned.append(tested.find_deformation(a, b)[2] > CORRELATED)
    text = ", ".join(
        f"{share:.3f} within {distance:.0f} px"
        for share, distance in zip(np.mean(shares, 0), DISTANCES, strict=True)
    )
    return f"{len(shares)} pairs, matches {text}, aligned {np.mean(aligned):.3f}"


if __name__ == "__main__":
    main()
