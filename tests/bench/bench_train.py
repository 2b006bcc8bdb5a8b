"""Speed of the training loop: python tests/bench/bench_train.py [--config FILE] [--set KEY=VALUE]

The floor is the compiled step on data that are on the device already. The loop also reads shards,
makes batches, transfers and logs; the ratio of both speeds shows the cost. Both run in turn.
Beside it: model FLOPs utilisation, the largest memory in use, the hours of a complete run.
--trace FOLDER writes a trace of some bare steps, for TensorBoard or https://ui.perfetto.dev.
"""

import dataclasses
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]

import click
import jax
import numpy as np
from alternate import Row, render
from pairs import make_pairs

import configs
from shards import manifest, record, shard_file, store
from shards.foundation.errors import Misuse
from train import monitor, peak_speed, state, step, trainer

PAIRS, SHARDS = 2000, 4
EPOCHS, FULL = 100, 100_000
GIB = 2**30
BLOCK = monitor.MonitorParameters().max_steps_per_fetch  # steps in turn


def build(out, spec):
    """A set of PAIRS records, a hundred different ones, without a validation split."""
    some = make_pairs(100, 0, size=spec.size, grid=spec.grid)
    encoded = [record.encode(pair) for pair in some]
    entries = []
    for k in range(SHARDS):
        name = manifest.shard_name("synthetic/bench", "train", k, SHARDS)
        part = (encoded[i % 100] for i in range(k, PAIRS, SHARDS))
        entries.append(shard_file.write_shard(out / name, part))
    facts = {"crop": spec.crop, "size": spec.size, "grid": spec.grid}
    store.write_manifest(out, manifest.assemble(facts, {"synthetic/bench": {}}, entries))
    return store.open_set(out)


class Bench:
    """The bare step and the training loop, in turn, some steps of each at a time."""

    def __init__(self, chosen, folder):
        shards, self.mesh = build(folder / "set", chosen.pipeline), state.make_mesh(jax.devices())
        config = dataclasses.replace(chosen.train, epochs=10**4, steps=None)
        settings = trainer.Settings(shards.directory, folder / "run", chosen.model, config)
        self.loop = trainer.Trainer(settings, shards, self.mesh, str)
        self.program, self.monitor = self.loop.program, self.loop.monitor
        batch = next(self.loop.batches)
        self.batch = step.put({name: batch[name] for name in step.LOSS_INPUTS}, self.mesh)
        start = time.perf_counter()
        compiled = self.program.train.lower(self.program.abstract, self.batch).compile()
        self.compiling = time.perf_counter() - start
        self.planned_bytes = planned_bytes(compiled.memory_analysis())
        self.state = self.program.initialise()
        self.loop.initialise()

    def bare_steps(self):
        """Steps on a batch that is on the devices already."""
        for _ in range(BLOCK):
            self.state, figures = self.program.train(self.state, self.batch)
        jax.block_until_ready(figures)

    def loop_steps(self):
        """Steps with data, transfer, and metrics checked, averaged, logged and shown."""
        for _ in range(BLOCK):
            self.loop.advance()
            self.monitor.console_values(self.loop.step)
        self.monitor.fetch()

    def run_in_turn(self, rounds, clock):
        """Speed of the loop divided by that of the bare step, in every round."""
        self.bare_steps()
        self.loop_steps()
        spent = []
        for _ in range(rounds):
            marks = [clock()]
            with self.monitor.clock.paused():
                self.bare_steps()
            marks.append(clock())
            self.loop_steps()
            spent.append(np.diff([*marks, clock()]))
        bare, whole = np.array(spent).T
        return bare / whole

    def trace(self, folder):
        """A trace of some bare steps."""
        with jax.profiler.trace(folder):
            self.bare_steps()


def planned_bytes(memory):
    """Memory that the compiler plans for one step, bytes per device: state, batch, temporaries."""
    sizes = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    return sizes - memory.alias_size_in_bytes


def describe_memory(stats, planned):
    """Describe the memory of a device.

    Args:
        stats: From `device.memory_stats()`; None for a device whose allocator counts nothing.
        planned: Bytes that the compiler plans for a step.
    """
    of_compiler = f"{planned / GIB:.3g} GiB per device for a step by the compiler"
    if not stats or "peak_bytes_in_use" not in stats:
        return f"memory: {of_compiler} (this device counts none in use)"
    peak, limit = stats["peak_bytes_in_use"], stats.get("bytes_limit")
    of_limit = f" of {limit / GIB:.3g}" if limit else ""
    return f"memory: {peak / GIB:.3g}{of_limit} GiB in use at the peak, {of_compiler}"


def describe_speed(rate, utilisation, ratio, peak):
    """Describe the speed of the loop and of the bare step, and the hours of a complete run.

    Args:
        rate: Pairs per second of the loop.
        utilisation: Model FLOPs utilisation of the loop.
        ratio: Speed of the loop divided by that of the bare step; None where only processor time
            was compared.
        peak: FLOP/s of one device.
    """
    bare = f"; bare step {rate / ratio:.4g} pairs/s, MFU {utilisation / ratio:.1%}" if ratio else ""
    return (
        f"speed: {rate:.4g} pairs/s, MFU {utilisation:.1%} of {peak / 1e12:.3g} TFLOP/s per device"
        f"{bare}; {EPOCHS} epochs × {FULL:,} pairs in {EPOCHS * FULL / rate / 3600:.2f} h"
    )


def measure(config=ROOT / "configs" / "demo.py", overrides=(), rounds=20, trace=None):
    """Measure the loop against the bare step; return the table row and remarks.

    On CPUs, where the loop takes its time from the step's own cores, processor time is compared.
    """
    chosen, device = configs.load(config, overrides), jax.devices()[0]
    on_cpu = device.platform == "cpu"
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(chosen, Path(folder))
        ratios = bench.run_in_turn(rounds, time.process_time if on_cpu else time.perf_counter)
        figures = bench.monitor.rates()
        bench.loop.close()
        if trace:
            bench.trace(trace)
    rate = figures["pairs_per_s"]
    name = f"training loop, batch {chosen.train.batch_size} ({'core-s' if on_cpu else 'wall'})"
    notes = [
        f"training loop: {config.name} on {jax.device_count()} × {device.device_kind}, waiting for "
        f"data {figures['wait']:.2%} of the time (1% at most), compiling {bench.compiling:.1f} s",
        describe_speed(
            rate,
            figures["utilisation"],
            None if on_cpu else float(np.median(ratios)),
            peak_speed.peak_flops(device),
        ),
        describe_memory(device.memory_stats(), bench.planned_bytes),
    ]
    return [Row(name, rate, "bare step", ratios, 0.97)], notes


@click.command()
@click.option("--config", type=click.Path(path_type=Path), default=ROOT / "configs" / "demo.py")
@click.option("--set", "overrides", multiple=True, help="As in train run.")
@click.option("--rounds", type=int, default=20)
@click.option(
    "--require", type=click.Choice(["tpu", "gpu"]), help="Refuse to start without such devices."
)
@click.option("--trace", type=click.Path(path_type=Path), help="Folder for a profile.")
def main(config, overrides, rounds, require, trace):
    """Measure and print."""
    try:
        state.find_devices(require=require)
    except Misuse as misuse:
        raise click.ClickException(str(misuse)) from misuse
    rows, notes = measure(config, overrides, rounds, trace)
    click.echo("\n".join([render(rows), *notes]))


if __name__ == "__main__":
    main()
