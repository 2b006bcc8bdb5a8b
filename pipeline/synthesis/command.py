"""The command `python -m pipeline synth`."""

from __future__ import annotations

from pathlib import Path

import click

from shards.foundation.printable import counted


@click.command()
@click.option("--out", type=Path, required=True, help="Folder below which the set is written.")
@click.option("--fingers", type=click.IntRange(1, 99_999), required=True, help="Number of fingers.")
@click.option("--impressions", type=click.IntRange(1, 1000), required=True, help="Per finger.")
@click.option("--seed", type=click.IntRange(0), required=True, help="Of the random numbers.")
@click.option(
    "--layout",
    type=click.Choice(["synthetic", "fvc2002", "sd300", "sd301a", "sd302"]),
    default="synthetic",
    help="Layout of folders and names; see above.",
)
@click.option("--name", help="Name of the synthetic set; seed{SEED} by default.")
@click.option("--workers", type=click.IntRange(1), help="Processes; one per core by default.")
def synth(
    out: Path,
    fingers: int,
    impressions: int,
    seed: int,
    layout: str,
    name: str | None,
    workers: int | None,
) -> None:
    """Synthesize fingers, or complete a set that was interrupted.

    The layout synthetic has the exact map to the finger's master beside each image. The other
    layouts have the folders and file names of the data sets, with all their peculiarities.
    fvc2002: --fingers in each of the four databases; up to 10 as B sets, up to 100 as A sets.
    sd300, sd301a, sd302: one person per ten --fingers, recorded by every device in every capture
    and resolution; a person in two data sets has the same fingers in both. --impressions is the
    number of encounters of sd301a; sd300 and sd302 have one impression per finger and device.

    Example: python -m pipeline synth --out data/raw --fingers 100 --impressions 4 --seed 1

    Example: python -m pipeline synth --out data/raw --layout sd302 --fingers 90 --impressions 1
    --seed 1
    """
    from pipeline.synthesis.write import write_set

    report = write_set(out, fingers, impressions, seed, workers, name, layout)
    reused = f", {report.reused} there already" if report.reused else ""
    remark = f" ({report.remark})" if report.remark else ""
    click.echo(f"{report.folder}: {counted(report.written, 'image')} made{reused}{remark}")
