"""Command line of the network: python -m model COMMAND."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# Before numpy is imported: evaluations multiply many small matrices, one by one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from model import SHIPPED
from model.network.start_jax import start_jax
from model.registration import output_names
from pipeline.imaging import file, resolution
from pipeline.imaging.header import Size
from pipeline.imaging.resolution import (
    ImageResolution,
    by_option,
    find_resolution,
    warn_of_doubtful,
)
from shards.foundation import pool
from shards.foundation.cli import CommandGroup
from shards.foundation.errors import Misuse
from shards.foundation.printable import counted, percent, printable_line

if TYPE_CHECKING:
    from model.registration.impression import PreparedImpression
    from model.registration.result import Registration

PPI_RANGE = click.FloatRange(*resolution.DEFAULT.ppi_range)


@click.group(cls=CommandGroup)
def main() -> None:
    """Register fingerprints with a trained network, or print the size of a network."""


@main.command()
@click.argument("images", nargs=-1, type=Path, metavar="[A B]")
@click.option(
    "--checkpoint",
    type=Path,
    default=SHIPPED,
    help="Network, a .safetensors file; by default the one that ships.",
)
@click.option(
    "--out",
    type=Path,
    help="Result, a .npz file, by default registration.npz; with --pairs a folder, no default.",
)
@click.option("--pairs", type=Path, help="CSV with the columns a,b: register every row.")
@click.option("--maps/--no-maps", default=True, help="With --pairs: write each row's map, or not.")
@click.option("--picture", type=Path, help="Also plot the registration, a .png file.")
@click.option("--ppi-a", type=PPI_RANGE, help="Resolution of A.")
@click.option("--ppi-b", type=PPI_RANGE, help="Resolution of B.")
@click.option("--raw", metavar="WxH", help="Size in px of images without header, such as 388x374.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="With --pairs: processes; by default one per core, fewer for a short table.",
)
def register(
    images: tuple[Path, ...],
    checkpoint: Path,
    out: Path | None,
    pairs: Path | None,
    maps: bool,
    picture: Path | None,
    ppi_a: float | None,
    ppi_b: float | None,
    raw: str | None,
    workers: int | None,
) -> None:
    """Register image A with image B: a dense map A → B, a score, the matches.

    OUT holds map_ab float32 [H, W, 2], the position (x, y) in B of each pixel of A, NaN where
    nothing corresponds; sigma float32 [H, W], the standard deviation of the map along each axis, px
    of B; score, the probability of one finger; and matches float32 [K, 5]: x_a, y_a, x_b, y_b,
    probability. Below a score of 0.25 there is no map, and the terminal says why. ppi_a, ppi_b,
    ppi_a_source and ppi_b_source are the resolutions; opposite_polarity tells whether ridges are
    dark in one file and light in the other; angle_degrees is the rotation, counter-clockwise as
    seen, shape_b the height and width of B, and calibrated tells whether the scores of the network
    are probabilities.

    With the network that ships, take a score of 0.7 or more for one finger: in 2,220 impostor pairs
    of 292 fingers none had it, so its false match rate is at most 2.0 % for whole impressions;
    of parts below 8 mm a few have it (docs/RESULTS.md).

    Positions are px of the images as stored, whatever their orientation tags say; an image is
    processed upright. A page to look at is written beside OUT, as .html.

    The resolution is --ppi-a and --ppi-b, else that of the file's tag. Without a usable tag the
    ridge period decides between 250, 500 and 1000 ppi; where it does not, 500 ppi is assumed and a
    warning printed.

    With --pairs, OUT/scores.csv has one line per row (row, a, b, score, matches, the resolutions,
    fault, the sha256 of the map), and OUT/000000.npz and so on are the maps, unless --no-maps;
    OUT/index.html shows all rows, and why a row has no map. The table may have the columns ppi_a
    and ppi_b too; relative paths in it start at the working directory. The same command continues a
    table: finished rows are checked and kept, those whose images, line or map changed are
    registered again. Finished rows of another table, checkpoint or version are never replaced: name
    another OUT.

    \b
    Example: python -m model register 101_1.tif 101_2.tif
             python -m model register 101_1.tif 101_2.tif --out map.npz --picture map.png
             python -m model register --pairs pairs.csv --no-maps --out results
    """
    raw_size = file.parse_raw_size(raw) if raw else None
    if pairs is not None:
        if images or picture:
            raise Misuse("--pairs takes its images from the table and plots no picture")
        if out is None:
            raise Misuse("--pairs needs --out, the folder of the results")
        _register_table(checkpoint, pairs, out, (ppi_a, ppi_b), workers, maps, raw_size)
    elif not maps or workers:
        raise Misuse(f"{'--workers' if maps else '--no-maps'} needs --pairs")
    elif len(images) != 2:
        raise Misuse(f"expected two images A B, or --pairs; got {counted(len(images), 'image')}")
    else:
        out = out or output_names.DEFAULT
        _register_two(checkpoint, images, out, picture, (ppi_a, ppi_b), raw_size)


@main.command()
@click.option("--config", type=Path, help="Config file; configs/paper.py by default.")
@click.option(
    "--set", "overrides", multiple=True, help="Override a setting of the config: key=value."
)
def summary(config: Path | None, overrides: tuple[str, ...]) -> None:
    """Print the parameters, the work per pair and the cells of a config's network.

    Example: python -m model summary --config configs/paper.py --set model.layers=2
    """
    start_jax()
    import configs
    from model.network.summary import summarise

    click.echo(summarise(configs.load(config or configs.PAPER, overrides).model))


def _register_two(
    checkpoint: Path,
    images: tuple[Path, ...],
    out: Path,
    picture: Path | None,
    ppi: tuple[float | None, float | None],
    raw_size: Size | None,
) -> None:
    """Register two images, write the map and the page on it, and plot it."""
    _check_inputs(checkpoint, images)
    page = output_names.check_outputs((*images, checkpoint), out, picture)
    start_jax()
    from model.network import compilation_cache
    from model.registration import calibration
    from model.registration.page import write_page
    from model.registration.registrar import Registrar, require_two_files

    require_two_files(*images)
    compilation_cache.enable()
    registrar = Registrar(checkpoint)
    contents, impressions = [], []
    for path, value in zip(images, ppi, strict=True):
        content = file.load(path, raw_size)
        known = find_resolution(path, content.stored, by_option(value))
        impressions.append(registrar.prepare_image(content, known, str(path)))
        contents.append(content.stored)
    (a, b), (stored_a, stored_b) = impressions, contents
    remarks = _report_images(images, (a, b))
    registration = registrar.register_impressions(a, b)
    registration.save(out)
    click.echo(f"{printable_line(str(out))}: {_describe(registration)}")
    if checkpoint.samefile(SHIPPED):
        remarks.append(str(calibration.THRESHOLD))
    names = str(images[0]), str(images[1])
    fingers = a.foreground, b.foreground
    write_page(page, names, (stored_a, stored_b), registration, fingers, remarks)
    click.echo(page)
    if picture is not None:
        from model.registration.plot import save_plot

        save_plot(stored_a, stored_b, registration, picture, fingers)
        click.echo(picture)


def _describe(registration: Registration) -> str:
    """Return the main numbers of a registration, or why there is no map, in one line."""
    if registration.refusal:
        return f"{registration.score_text}, no map: {registration.refusal}"
    median = registration.median_sigma
    return (
        f"{registration.score_text},"
        f" {counted(len(registration.matches), 'match', 'matches')},"
        f" {percent(registration.mapped_share)} of A's frame mapped"
        f"{f' to ±{median:.2f} px (median)' if median else ''}"
        f"{'; ridges are dark in one image, light in the other' * registration.opposite_polarity}"
    )


def _check_inputs(checkpoint: Path, paths: tuple[Path, ...]) -> None:
    """Check that files can be read, before JAX takes seconds to load; say which network is used."""
    from model.network import tensor_file

    tensor_file.read(checkpoint)
    for path in paths:
        file.check_readable(path)
    shipped = ", the one that ships" if checkpoint.samefile(SHIPPED) else ""
    click.echo(f"network: {checkpoint}{shipped}")


def _report_images(
    paths: tuple[Path, ...], impressions: tuple[PreparedImpression, PreparedImpression]
) -> list[str]:
    """Print the size, the resolution and the polarity of A and B; print and return warnings."""
    from model.registration import finger_names
    from pipeline.imaging.polarity import Polarity

    warnings = []
    for name, path, impression in zip("AB", paths, impressions, strict=True):
        height, width = impression.shape
        inverted = ", light ridges" if impression.polarity is Polarity.LIGHT else ""
        notes = "".join(f"; {note}" for note in impression.notes)
        shown = f"{width}×{height} px, {impression.resolution}{inverted}{notes}"
        click.echo(f"{name} {printable_line(str(path))}: {shown}")
        warnings += [f"{name}: {note}" for note in impression.notes]
        option = f"--ppi-{name.lower()}"
        warning = warn_of_doubtful({str(path): impression.resolution}, option)
        if warning:
            click.echo(warning, err=True)
            warnings.append(warning)
    difference = finger_names.describe_difference(*paths)
    if difference:
        click.echo(f"warning: {difference}", err=True)
        warnings.append(f"warning: {difference}")
    return warnings


def _register_table(
    checkpoint: Path,
    table: Path,
    out: Path,
    ppi: tuple[float | None, float | None],
    workers: int | None,
    maps: bool,
    raw_size: Size | None,
) -> None:
    """Register the rows of a table, and exit with status 1 where one of them fails."""
    _check_inputs(checkpoint, (table,))
    start_jax()
    from model.network import tensor_file, weights
    from model.registration import calibration, finger_names, pair_table
    from model.registration.register_table import SCORES, register_table

    known_a, known_b = map(by_option, ppi)
    with pool.interruptible("finished rows"):
        errors = register_table(checkpoint, table, out, known_a, known_b, workers, maps, raw_size)
    scores = pair_table.read_scores(out / SCORES)
    resolutions: dict[str, ImageResolution] = {}
    for name, stated in itertools.chain.from_iterable(s.resolutions.items() for s in scores):
        if name not in resolutions or stated.is_doubtful:  # rows may state several of one image
            resolutions[name] = stated
    if resolutions:
        click.echo(f"{out}: {resolution.summarize(resolutions)}")
    warning = warn_of_doubtful(resolutions, "the columns ppi_a, ppi_b")
    if warning:
        click.echo(warning, err=True)
    difference = finger_names.summarize_differences([(Path(s.a), Path(s.b)) for s in scores])
    if difference:
        click.echo(f"warning: {difference}", err=True)
    if weights.CALIBRATION not in tensor_file.read(checkpoint)[1]:
        click.echo(f"{checkpoint}: {calibration.UNCALIBRATED}", err=True)
    for error in errors:
        click.echo(f"error: {error}", err=True)
    outcome = f"{counted(len(errors), 'row')} failed" if errors else "every row registered"
    click.echo(f"{out}: {outcome}; results are in {SCORES}{' and index.html' * maps}")
    if errors:
        sys.exit(1)


if __name__ == "__main__":
    main()
