"""What is each ingredient of the synthetic fingers worth on real prints?

    python tests/experiments/ablation.py whole OUT FVC2002/DB1_B FVC2002/DB3_B

trains one small network on fingers drawn with one ingredient left out, the same number of steps
from the same seeds, and says how many of its matches between real impressions lie near the map
that the network that ships finds there (of genuine pairs on which ridges bear that map out). Not a
test: five minutes of a core each.
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
from model.registration.hypotheses import DEFAULT
from model.registration.registrar import PreparedImpression, Registrar
from pipeline import __main__ as pipeline
from pipeline.synthesis import generate, impression
from pipeline.synthesis.sensor import OPTICAL
from train.evaluation.fvc import impressions

CONFIG = ROOT / "configs" / "shipped.py"
FINGERS, IMPRESSIONS = 110, 8
STEPS = 2000  # of 4 pairs
THINNED = 3  # one pair out of so many is tried
NEAR = (4.0, 9.0)  # px at 500 ppi: half a ridge period, and one


def manners(**fields):
    """Leave out of every manner of touching what `fields` set."""
    impression.PLAIN = replace(impression.PLAIN, **fields)
    impression.HARD = tuple(replace(manner, **fields) for manner in impression.HARD)


def whole_contact():
    """Every finger in the middle, and all of it."""
    impression.HARD = tuple(
        manner
        for manner in impression.HARD
        if manner not in (impression.LIGHT, impression.DISPLACED)
    )
    manners(roll=0.0, shift=(6.0, 6.0))


def one_sensor():
    for name in ("sample_style", "synthesize_impression"):
        setattr(generate, name, functools.partial(getattr(generate, name), styles=(OPTICAL,)))


def plain_touches():
    impression.HARD_SHARE = 0.0


VARIANTS = {
    "whole": lambda: None,
    "distortion": lambda: manners(twist=0.0, slip=0.0, strain=0.0),
    "dryness": lambda: manners(dryness=(0.0, 0.0), moisture=(0.0, 0.0), pressure=0.0),
    "sensors": one_sensor,
    "contact": whole_contact,
    "hard": plain_touches,
    "stretch": lambda: None,  # of the pairs, not of the fingers
}


@click.command()
@click.argument("left_out", type=click.Choice(list(VARIANTS)))
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("real", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@click.option("--images", help="A folder of synthetic/shipped, by another generator.")
@click.option("--seed", default=0, show_default=True, help="Of the training.")
def main(left_out, out, real, images, seed):
    """Train without the ingredient LEFT_OUT in the folder OUT, and try it on REAL folders."""
    VARIANTS[left_out]()
    drawn = {"fingers": FINGERS, "impressions": IMPRESSIONS}
    spec = {"stretch": 0.0} if left_out == "stretch" else {}
    build(out / "shards", spec | ({} if images else drawn), images)
    run = out / f"run{seed}"
    train(out / "shards", run, seed)
    for folder in real:
        found = tried(run / "dense_reg_ckpt.safetensors", folder)
        click.echo(f"{out.name}, seed {seed}, {folder.name}: {found}")


def build(shards, spec, images):
    """In this process, where the ingredient is left out."""
    changed = [f"--set=pipeline.{key}={value}" for key, value in spec.items()]
    data = ["--data", images] if images else []
    command = ["build", "--config", str(CONFIG), "--out", str(shards), "--workers", "1"]
    pipeline.main([*command, "--skip-bad", *data, *changed], standalone_mode=False)


def train(shards, run, seed):
    """The network of CONFIG for STEPS, in a process of its own."""
    settings = {"train.epochs": 1, "train.steps": STEPS, "train.seed": seed}
    changed = [f"--set={key}={value}" for key, value in settings.items()]
    command = [sys.executable, "-m", "train", "run", "--config", str(CONFIG), "--shards"]
    places = [str(shards.resolve()), "--checkpoint-dir", str(run.resolve())]
    subprocess.run([*command, *places, *changed], cwd=ROOT, check=True, stdout=sys.stderr)


def tried(checkpoint, folder):
    """How many matches are near in `folder`, and how far its own registration gets."""
    best, tested = Registrar(SHIPPED), Registrar(checkpoint)
    near, agreed = [], []
    for paths in impressions(folder).values():
        prints = [best.prepare_file(path) for path in paths]
        for a, b in list(itertools.combinations(prints, 2))[::THINNED]:
            a, b = sorted((a, b), key=lambda one: one.rank)
            _, truth, borne_out = best.find_deformation(a, b)
            a, b = (
                PreparedImpression(a.shape, a.prepared),
                PreparedImpression(b.shape, b.prepared),
            )  # seen by no network yet
            if (
                borne_out > DEFAULT.supported_correlation
            ):  # then the map of the network that ships is the truth
                matches = tested.match(a, b)
                off = np.hypot(*(truth(matches[:, :2]) - matches[:, 2:4]).T)
                near.append([(off < least).mean() for least in NEAR])
                agreed.append(tested.find_deformation(a, b)[2] > DEFAULT.supported_correlation)
    shares = ", ".join(
        f"{share:.3f} within {least:.0f} px"
        for share, least in zip(np.mean(near, 0), NEAR, strict=True)
    )
    return f"{len(near)} pairs, matches {shares}, aligned {np.mean(agreed):.3f}"


if __name__ == "__main__":
    main()
