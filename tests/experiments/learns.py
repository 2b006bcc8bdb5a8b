"""Watch a network learn: the loss, its terms, and the norms of every layer, step by step.

    python tests/experiments/learns.py SHARDS OUT --set train.steps=400 --set train.batch_size=8

trains configs/paper.py with its own schedule scaled to these steps, and writes a line of JSON for
each step to OUT/steps.jsonl: the loss and its terms, the norms of gradient and update by layer; and
to OUT/validation.jsonl the accuracy on the first pairs of the validation split. `--overfit` repeats
the first batch until PCK@4 on it is 0.95. Not a test: the published network takes two core-seconds
a pair. Results: docs/RESULTS.md, "Does the published network learn?".
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

import click
import jax
import jax.numpy as jnp
import numpy as np
import optax

import configs
from model.network import weights
from model.network.net import outline
from model.network.tensor_file import write
from shards.foundation.progress import Progress
from shards.store import open_set
from train import state, step
from train.loader import TrainingBatches, evaluation_batches
from train.validation import validate

ENOUGH = 0.95  # PCK@4 on the batch that is repeated
ENDS = {"gradient": 0, "update": -1}  # places of the recorders in the chain of the optimiser


def record_norms():
    """An optax transformation that changes nothing and keeps the norm of every layer's update."""

    def init(params):
        return {layer: jnp.zeros(()) for layer in layers(params)}

    def update(updates, _, params=None):
        norms = {name: optax.tree.norm(parts) for name, parts in layers(updates).items()}
        return updates, norms

    return optax.GradientTransformation(init, update)


def layers(params):
    """Parameters by layer: the stem, each stage, each attention layer, the rest by module."""
    grouped = {}
    for name, value in weights.tensors(params).items():
        parts = name.split(".")
        depth = 3 if parts[1] in ("stages", "own", "cross", "laterals") else 2
        grouped.setdefault(".".join(parts[:depth]), []).append(value)
    return grouped


@click.command()
@click.argument("shards", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--config", type=click.Path(path_type=Path), default=configs.PAPER)
@click.option("--set", "overrides", multiple=True)
@click.option("--overfit", is_flag=True)
@click.option("--validate-every", default=100, help="Steps.")
@click.option("--validation-pairs", default=64)
def main(shards, out, config, overrides, overfit, validate_every, validation_pairs):
    """Train on SHARDS and write what was seen to OUT."""
    out.mkdir(parents=True, exist_ok=True)
    settings = configs.load(config, overrides)
    opened = open_set(shards)
    spec, train = opened.manifest.spec, settings.train
    batches = TrainingBatches(opened, train.batch_size, train.seed, overfit=overfit)
    steps = train.steps or train.epochs * batches.steps
    mesh = state.make_mesh(jax.devices()[:1])
    program = step.make_program(settings.model, train, steps, mesh, spec["crop"] / spec["size"])
    chain = optax.chain(record_norms(), state.optimiser(train, steps), record_norms())
    graph, _ = outline(settings.model)
    advance = step.make_train_step(
        graph, chain, state.schedule(train, steps), mesh, train.accumulate
    )
    current = state.make_initialise(settings.model, train.seed, chain, mesh)()
    lines, found = (out / "steps.jsonl").open("w"), (out / "validation.jsonl").open("w")
    progress, start = Progress("learns", steps, "steps"), time.process_time()
    for number in range(1, steps + 1):
        batch = next(batches)
        placed = step.put({name: batch[name] for name in step.LOSS_INPUTS}, mesh)
        current, metrics = advance(current, placed)
        line = {"step": number, **{k: float(v) for k, v in metrics.items()}}
        for end, place in ENDS.items():
            norms = jax.device_get(current.optimiser[place])
            line[end] = {name: float(value) for name, value in norms.items()}
        line["core_seconds"] = time.process_time() - start
        print(json.dumps(line), file=lines, flush=True)
        progress.advance(1)
        if number % validate_every and number < steps:
            continue
        if overfit:
            pairs = [(batch, train.batch_size)]
        else:
            chosen = np.arange(min(validation_pairs, opened.count("val")))
            pairs = evaluation_batches(opened, "val", train.batch_size, chosen)
        result = validate(program, current.params, pairs, mesh, lambda: None) or {}
        known = {name: value for name, value in result.items() if math.isfinite(value)}
        print(json.dumps({"step": number, **known}), file=found, flush=True)
        if overfit and result["pck@4"] >= ENOUGH:
            break
    progress.close()
    batches.close()
    arrays = {k: np.asarray(v) for k, v in weights.tensors(current.params).items()}
    geometry = weights.CropGeometry(spec["crop"], spec["size"], spec["grid"])
    write(out / "network.safetensors", arrays, weights.metadata(settings.model, geometry))


if __name__ == "__main__":
    main()
