"""The command `python -m train benchmark`."""

from __future__ import annotations

from pathlib import Path

import click

from model import SHIPPED
from model.network.start_jax import start_jax
from shards.foundation import pool
from shards.foundation.errors import Misuse
from train.evaluation.benchmark import entries


@click.command()
@click.option(
    "--set", "sets", multiple=True, required=True, metavar="NAME=DIR", help="A set: one sensor."
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="M",
    help=f"{', '.join(entries.BUILT_IN)}, or {entries.MAPS}:DIR.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the results."
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    default=SHIPPED,
    help="Network, a .safetensors file; by default the one that ships.",
)
@click.option(
    "--minutiae", multiple=True, metavar="NAME=FILE", help="Witness minutiae of a set, .npz."
)
@click.option("--workers", type=click.IntRange(1), help="Processes; one per core by default.")
def benchmark(
    sets: tuple[str, ...],
    methods: tuple[str, ...],
    out: Path,
    checkpoint: Path,
    minutiae: tuple[str, ...],
    workers: int | None,
) -> None:
    """Compare methods of registration on sets of impressions named FINGER_IMPRESSION.tif.

    The FVC protocol, by set and over all sets: error rates, agreement of the ridges, distances of
    mated minutiae of a witness, scores of independent matchers before and after, bending, time.
    OUT/benchmark.html shows all; benchmark.json, summary.csv, conditions.csv and comparisons.csv
    hold the numbers. The same command again continues; more methods or sets compute only what is
    new.

    Another tool enters with its maps: OUT/pairs/NAME.csv lists the pairs (written alone without
    --method), and DIR/NAME holds one .npz per pair with map_ab and score. docs/BENCHMARK.md defines
    everything. Witness and matchers need the extra 'benchmark'.

    \b
    Example: python -m train benchmark --set DB1=DB1_B --set DB3=DB3_B --method ours --method sift
             --method maps:mytool --out runs/benchmark
    """
    chosen_sets = entries.parse_sets(sets, minutiae)
    chosen_methods = entries.parse_methods(methods)
    if any(method.uses_network for method in chosen_methods) and not checkpoint.is_file():
        raise Misuse(f"{checkpoint}: no such network")
    start_jax()
    from train.evaluation import output
    from train.evaluation.benchmark import page, run

    settings = run.Settings(chosen_sets, chosen_methods, checkpoint, out, workers)
    run.check(settings)
    with output.writing_to(out), pool.interruptible("finished comparisons"):
        summary, faults = run.run(settings, lambda line: click.echo(line, err=True))
    if not summary:
        click.echo(f"{out / 'pairs'}: lists of pairs; name a --method to compare")
        return
    click.echo(page.console_table(summary))
    click.echo(f"{out}: benchmark.html, benchmark.json, summary.csv, conditions.csv, …")
    run.raise_faults(faults)
