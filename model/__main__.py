"""The door of the network: python -m model COMMAND."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from shards.foundation.cli import CommandGroup
from shards.foundation.errors import Misuse

SHIPPED = Path(__file__).with_name("dense_reg.safetensors")


@click.group(cls=CommandGroup)
def main() -> None:
    """Register fingerprints with a trained network, or look at what a network is made of."""


@main.command()
@click.argument("images", nargs=-1, type=Path, metavar="[A B]")
@click.option(
    "--checkpoint",
    type=Path,
    default=SHIPPED,
    help="The .safetensors file of a training; the one that ships where none is given.",
)
@click.option("--out", type=Path, required=True, help="map.npz; with --pairs a folder.")
@click.option("--pairs", type=Path, help="CSV with the columns a,b: register every row.")
@click.option("--maps/--no-maps", default=True, help="With --pairs: keep each row's map, or not.")
@click.option("--picture", type=Path, help="Also draw the registration, as PNG.")
@click.option("--ppi-a", type=click.FloatRange(50, 10000), help="Resolution of A.")
@click.option("--ppi-b", type=click.FloatRange(50, 10000), help="Resolution of B.")
@click.option("--workers", type=click.IntRange(1), help="Processes, with --pairs; else the cores.")
def register(
    images: tuple[Path, ...],
    checkpoint: Path,
    out: Path,
    pairs: Path | None,
    maps: bool,
    picture: Path | None,
    ppi_a: float | None,
    ppi_b: float | None,
    workers: int | None,
) -> None:
    """Register image A with image B: a dense map A → B, a score, the matches.

    The resolution is --ppi-a and --ppi-b, else what the file's tag says, else 500.

    With --pairs, OUT/scores.csv has a line a row (row, a, b, score, matches, fault), and
    OUT/000000.npz and so on the maps, unless --no-maps. The table may have the columns ppi_a and
    ppi_b too, for the rows that say it; its relative paths are from the working directory. Rows
    that were finished before, of the same images, are kept: the same command goes on.

    \b
    Example: python -m model register 101_1.tif 101_2.tif --out map.npz --picture map.png
             python -m model register --pairs pairs.csv --no-maps --out answers
    """
    if pairs is not None:
        if images or picture:
            raise Misuse("--pairs takes its images from the table and draws no picture")
        _register_table(checkpoint, pairs, out, (ppi_a, ppi_b), workers, maps)
    elif not maps:
        raise Misuse("--no-maps goes with --pairs")
    elif len(images) != 2:
        raise Misuse(f"expected two images A B, or --pairs; found {len(images)} images")
    else:
        _register_two(checkpoint, images, out, picture, (ppi_a, ppi_b))


@main.command()
@click.option("--config", type=Path, help="Config file; configs/paper.py where none is given.")
@click.option("--set", "overrides", multiple=True, help="key=value, over the config's.")
def summary(config: Path | None, overrides: tuple[str, ...]) -> None:
    """Parameters, work a pair and cells of a config's network.

    Example: python -m model summary --config configs/paper.py --set model.layers=2
    """
    import configs
    from model.network.summary import summarise

    click.echo(summarise(configs.load(config or configs.PAPER, overrides).model))


def _register_two(
    checkpoint: Path,
    images: tuple[Path, ...],
    out: Path,
    picture: Path | None,
    ppi: tuple[float | None, float | None],
) -> None:
    import numpy as np

    from model.network import compilation_cache
    from model.registration.registrar import Registrar, require_two_files
    from pipeline.imaging import preprocess

    require_two_files(*images)
    compilation_cache.enable()
    registrar = Registrar(checkpoint)
    a, b = (registrar.prepare_file(*each) for each in zip(images, ppi, strict=True))
    found = registrar.register_impressions(a, b)
    found.save(out)
    mapped = np.isfinite(found.map_ab[..., 0]).mean()
    click.echo(f"{out}: {found.score_text}, {len(found.matches)} matches, {mapped:.0%} mapped")
    if picture is not None:
        from model.registration.plot import save_plot

        save_plot(preprocess.load(images[0]), preprocess.load(images[1]), found, picture)
        click.echo(picture)


def _register_table(
    checkpoint: Path,
    table: Path,
    out: Path,
    ppi: tuple[float | None, float | None],
    workers: int | None,
    maps: bool,
) -> None:
    from model.network import weights
    from model.registration import calibration
    from model.registration.batch import SCORES, register_pairs

    faults = register_pairs(checkpoint, table, out, *ppi, workers, maps)
    if weights.load(checkpoint).curves is None:
        click.echo(f"{checkpoint}: {calibration.UNCALIBRATED}", err=True)
    for fault in faults:
        click.echo(f"error: {fault}", err=True)
    if faults:
        sys.exit(1)
    click.echo(f"{out}: every row registered, {SCORES}")


if __name__ == "__main__":
    main()
