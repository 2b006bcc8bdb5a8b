"""The command `python -m pipeline compare`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("real", type=Path, nargs=-1, required=True)
@click.argument("synthetic", type=Path)
@click.option("--out", type=Path, required=True, help="Folder of report.html and report.json.")
def compare(real: tuple[Path, ...], synthetic: Path, out: Path) -> None:
    """Measure the difference between real and synthetic impressions in folders of images.

    The report shows distributions with their distances, and a classifier that distinguishes crops;
    beside each number it shows the same for two halves of the real fingers. REAL may be several
    folders; the last folder is SYNTHETIC. Images in an unknown layout are taken as 500 ppi, and
    their finger is the file name up to the last underscore.

    Example: python -m pipeline compare /data/fvc2002/DB1_B data/raw/fvc2002/DB1_B --out comparison
    """
    from pipeline.realism.compare import compare, summary

    click.echo(summary(compare(real, synthetic, out)))
    click.echo(f"{out / 'report.html'}: full report with pictures")
