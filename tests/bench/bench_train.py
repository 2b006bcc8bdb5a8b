"""Speed of the training loop: python tests/bench/bench_train.py [--config FILE] [--batch-size B]

The floor is the compiled step on data that lie on the device already. The loop reads shards,
batches, transfers, logs; its pairs a second over the floor's is what all that costs. Both are taken
in one run, the floor before and after, so that machines and their load compare.
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
from pairs import make_pairs  # noqa: E402

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
    """(seconds that the first step took, compiling included; steps a second of the rest)."""
    start = time.perf_counter()
    current, figures = program.train(program.initialise(), batch)
    jax.block_until_ready(figures)
    compiled = time.perf_counter()
    for _ in range(steps):
        current, figures = program.train(current, batch)
    jax.block_until_ready(figures)
    return compiled - start, steps / (time.perf_counter() - compiled)


@click.command()
@click.option("--config", type=click.Path(path_type=Path), default=ROOT / "configs" / "demo.py")
@click.option("--batch-size", type=int, help="Instead of the config's.")
@click.option("--steps", type=int, default=50)
def main(config, batch_size, steps):
    """Measure and say."""
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
        start = time.perf_counter()
        for _ in range(max(1, PAIRS // size)):
            batch = next(batches)
        loaded = max(1, PAIRS // size) * size / (time.perf_counter() - start)
        batches.close()
        resident = step.put(batch, mesh)
        first, before = bare(program, resident, steps)
        run = Path(folder) / "run"
        loop.run(loop.Settings(Path(folder) / "set", run, chosen.model, settings), devices, str)
        _, after = bare(program, resident, steps)
        lines = (run / "logs" / "metrics.jsonl").read_text().splitlines()
    last, floor = json.loads(lines[-1]), (before + after) / 2 * size
    click.echo(f"devices           {len(devices):8d} × {devices[0].device_kind}, batch {size}")
    click.echo(f"first step        {first:8.1f} s, compiling included")
    click.echo(f"loader alone      {loaded:8.0f} pairs/s, {loaded / floor:.0f} × the step")
    click.echo(
        f"bare step         {floor:8.1f} pairs/s ({before * size:.1f} and {after * size:.1f})"
    )
    click.echo(f"whole loop        {last['pairs_per_s']:8.1f} pairs/s")
    click.echo(f"loop / bare step  {last['pairs_per_s'] / floor:8.3f}, to be 0.97 or more")
    click.echo(f"waiting for data  {100 * last['wait']:8.2f} %, to be below 1")


if __name__ == "__main__":
    main()
