"""Speed of the training loop: python tests/bench/bench_train.py [--config FILE] [--set KEY=VALUE]

The floor is the compiled step on data that lie on the device already. The loop reads shards,
batches, transfers, logs; its pairs a second over the floor's is what all that costs. Both are taken
in turn, so that machines and their load compare. --trace FOLDER leaves a trace of some bare steps,
for TensorBoard or https://ui.perfetto.dev.
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
from shards.errors import Misuse  # noqa: E402
from train import loop, state, step, work  # noqa: E402
from train.loader import TrainingBatches  # noqa: E402

PAIRS, SHARDS = 2000, 4
EPOCHS, FULL, TRACED = 100, 100_000, 5
SHARES = ("wait", "utilisation")


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
    """Pairs a second of so many steps on a batch that lies on the devices."""
    current, figures = program.train(program.initialise(), batch)
    jax.block_until_ready(figures)
    start = time.perf_counter()
    for _ in range(steps):
        current, figures = program.train(current, batch)
    jax.block_until_ready(figures)
    return steps * len(batch["genuine"]) / (time.perf_counter() - start)


class Bench:
    """A program, shards for it, and the figures of runs."""

    def __init__(self, chosen, steps, folder):
        self.steps, self.folder, self.model = steps, folder, chosen.model
        self.config = dataclasses.replace(
            chosen.train, steps=steps, epochs=10**6, latest_every=10**9, log_every=steps
        )
        self.shards = build(folder / "set", chosen.pipeline)
        self.mesh = state.make_mesh(jax.devices())
        scale = chosen.pipeline.crop / chosen.pipeline.size
        self.program = step.make_program(self.model, self.config, steps, self.mesh, scale)
        batches = TrainingBatches(self.shards, self.config.batch_size, 0)
        self.batch = step.put(next(batches), self.mesh)
        batches.close()

    def compile(self):
        """Seconds that compiling the step takes, tracing included."""
        start = time.perf_counter()
        self.program.train.lower(self.program.abstract, self.batch).compile()
        return time.perf_counter() - start

    def bare(self):
        return bare(self.program, self.batch, self.steps)

    def loop(self, number):
        """The last line that a run logs."""
        run = self.folder / f"run{number}"
        settings = loop.Settings(self.shards.directory, run, self.model, self.config)
        loop.run(settings, jax.devices(), str)
        return json.loads((run / "logs" / "metrics.jsonl").read_text().splitlines()[-1])

    def race(self, rounds):
        """What `rounds` runs logged, and the bare pairs a second before and after each."""
        floors, lines = [self.bare()], []
        for number in range(rounds):
            lines.append(self.loop(number))
            floors.append(self.bare())
        return lines, (np.array(floors[1:]) + floors[:-1]) / 2

    def trace(self, folder):
        """A trace of some bare steps."""
        self.bare()
        with jax.profiler.trace(folder):
            bare(self.program, self.batch, TRACED)


def measure(config=ROOT / "configs" / "demo.py", overrides=(), steps=50, rounds=3, trace=None):
    """The row of the loop: the pairs a second that its log tells of, over the bare step's; and
    remarks below the table."""
    chosen = configs.load(config, overrides)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(chosen, steps, Path(folder))
        compiling = bench.compile()
        lines, floors = bench.race(rounds)
        if trace:
            bench.trace(trace)
    rate, wait, use = (np.median([x[k] for x in lines]) for k in ("pairs_per_s", *SHARES))
    name = f"training loop, batch {chosen.train.batch_size} (wall)"
    ratios = np.array([line["pairs_per_s"] for line in lines]) / floors
    device = jax.devices()[0]
    note = (
        f"training loop: {config.name} on {jax.device_count()} × {device.device_kind}: waiting for "
        f"data {wait:.2%} of the time (1% at most), compiling {compiling:.1f} s, utilisation "
        f"{use:.1%} of {work.peak_flops(device) / 1e12:.3g} TFLOP/s a device, "
        f"{EPOCHS} epochs × {FULL:,} pairs in {EPOCHS * FULL / rate / 3600:.2f} h"
    )
    return [Row(name, rate, "bare step", ratios, 0.97)], [note]


@click.command()
@click.option("--config", type=click.Path(path_type=Path), default=ROOT / "configs" / "demo.py")
@click.option("--set", "overrides", multiple=True, help="As in train run.")
@click.option("--steps", type=int, default=50)
@click.option("--rounds", type=int, default=3)
@click.option("--require", type=click.Choice(["tpu", "gpu"]), help="Refuse to start without.")
@click.option("--trace", type=click.Path(path_type=Path), help="Folder for a profile.")
def main(config, overrides, steps, rounds, require, trace):
    """Measure and say."""
    try:
        state.find_devices(require=require)
    except Misuse as misuse:
        raise click.ClickException(str(misuse)) from misuse
    rows, notes = measure(config, overrides, steps, rounds, trace)
    click.echo("\n".join([render(rows), *notes]))


if __name__ == "__main__":
    main()
