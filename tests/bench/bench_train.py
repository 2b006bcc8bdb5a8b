"""Speed of the training loop: python tests/bench/bench_train.py [--config FILE] [--batch-size B]

The floor is the compiled step on data that lie on the device already. The loop reads shards,
batches, transfers, logs; its pairs a second over the floor's is what all that costs. Both are taken
in turn, so that machines and their load compare.
"""

import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
from pairs import make_pairs  # noqa: E402
from race import Row, render  # noqa: E402

import configs  # noqa: E402
from shards import manifest, record, store  # noqa: E402
from train import loop, state, step  # noqa: E402
from train.loader import TrainingBatches  # noqa: E402

PAIRS, SHARDS = 2000, 4


def build(out, spec):
    """A set of PAIRS records, a hundred different ones, without a validation split."""
    some = make_pairs(100, 0, size=spec.size, grid=spec.grid)
    encoded = [record.encode(pair) for pair in some]
    entries = []
    for k in range(SHARDS):
        name = manifest.shard_name("synthetic/bench", "train", k, SHARDS)
        part = (encoded[i % 100] for i in range(k, PAIRS, SHARDS))
        entries.append(store.write_shard(out / name, part))
    facts = {"crop": spec.crop, "size": spec.size, "grid": spec.grid}
    store.write_manifest(out, manifest.assemble(facts, {"synthetic/bench": {}}, entries))
    return store.open_set(out)


def bare(program, batch, steps):
    """Steps a second, after a first one, in which the program may be compiled."""
    current, figures = program.train(program.initialise(), batch)
    jax.block_until_ready(figures)
    start = time.perf_counter()
    for _ in range(steps):
        current, figures = program.train(current, batch)
    jax.block_until_ready(figures)
    return steps / (time.perf_counter() - start)


def measure(config=ROOT / "configs" / "demo.py", batch_size=None, steps=50, rounds=3):
    """The row of the loop: the pairs a second that its log tells of, over the bare step's."""
    chosen = configs.load(config)
    size = batch_size or chosen.train.batch_size
    settings = dataclasses.replace(
        chosen.train, batch_size=size, steps=steps, epochs=10**6, latest_every=10**9
    )
    devices = jax.devices()
    with tempfile.TemporaryDirectory() as folder:
        shards = build(Path(folder) / "set", chosen.pipeline)
        mesh = state.make_mesh(devices)
        scale = chosen.pipeline.crop / chosen.pipeline.size
        program = step.make_program(chosen.model, settings, steps, mesh, scale)
        batches = TrainingBatches(shards, size, 0)
        resident = step.put(next(batches), mesh)
        batches.close()
        floors, rates = [bare(program, resident, steps) * size], []
        for k in range(rounds):
            run = Path(folder) / f"run{k}"
            loop.run(loop.Settings(shards.directory, run, chosen.model, settings), devices, str)
            lines = (run / "logs" / "metrics.jsonl").read_text().splitlines()
            rates.append(json.loads(lines[-1])["pairs_per_s"])
            floors.append(bare(program, resident, steps) * size)
    around = (np.array(floors[1:]) + floors[:-1]) / 2
    return [
        Row(
            f"training loop, batch {size} (wall)",
            np.median(rates),
            "bare step",
            rates / around,
            0.97,
        )
    ]


@click.command()
@click.option("--config", type=click.Path(path_type=Path), default=ROOT / "configs" / "demo.py")
@click.option("--batch-size", type=int, help="Instead of the config's.")
@click.option("--steps", type=int, default=50)
def main(config, batch_size, steps):
    """Measure and say."""
    click.echo(render(measure(config, batch_size, steps)))


if __name__ == "__main__":
    main()
