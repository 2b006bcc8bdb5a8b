"""The command `python -m train evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from model.network import tensor_file
from model.network.start_jax import start_jax
from pipeline.imaging import resolution
from shards.foundation.errors import Fault, Misuse

NETWORK_HELP = "Network, a .safetensors file."


@click.command()
@click.option(
    "--shards", type=click.Path(path_type=Path), help="Shard set, for pairs with known truth."
)
@click.option(
    "--fvc",
    type=click.Path(path_type=Path),
    help="Folder of impressions named FINGER_IMPRESSION.tif.",
)
@click.option("--checkpoint", type=click.Path(path_type=Path), required=True, help=NETWORK_HELP)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the results."
)
@click.option("--split", type=click.Choice(["val", "test"]), help="With --shards; test by default.")
@click.option(
    "--ppi",
    type=click.FloatRange(*resolution.DEFAULT.ppi_range),
    help="With --fvc: resolution of all files; overrides the one that they state.",
)
@click.option(
    "--minutiae", type=click.Path(path_type=Path), help="With --fvc: .npz of reference minutiae."
)
def evaluate(
    shards: Path | None,
    fvc: Path | None,
    checkpoint: Path,
    out: Path,
    split: str | None,
    ppi: float | None,
    minutiae: Path | None,
) -> None:
    """Measure accuracy on held-out pairs of a shard set, or run the FVC protocol on a folder.

    Also evaluates SIFT + RANSAC and phase correlation; metrics have 95 % intervals over fingers.
    Finished pairs are logged in OUT: the same command again continues; those of another split or
    checkpoint stay beside. --minutiae names an .npz with an array [N, 4] (x, y, direction in rad
    counter-clockwise, quality) for each file: reference minutiae of another program, by which the
    maps are measured.

    \b
    Example: python -m train evaluate --shards data/shards --checkpoint CKPT --out runs/a/evaluation
             python -m train evaluate --fvc DB1_B --checkpoint CKPT --out runs/a/db1_b
    """
    if (shards is None) == (fvc is None):
        raise Misuse("expected one of --shards and --fvc")
    if fvc is None and (ppi or minutiae):
        raise Misuse("--ppi and --minutiae go with --fvc")
    if fvc is not None and split is not None:
        raise Misuse("--split goes with --shards")
    tensor_file.read(checkpoint)  # a missing or damaged one is reported before JAX is loaded
    if shards is not None:
        from shards import store

        shards = store.find_set(shards, click.echo)
        store.require_set(shards)
    start_jax()
    if shards is not None:
        _evaluate_shards(shards, checkpoint, out, split or "test")
    elif fvc is not None:
        _evaluate_fvc(fvc, checkpoint, out, ppi, minutiae)


def _evaluate_shards(directory: Path, checkpoint: Path, out: Path, split: str) -> None:
    from model.network import compilation_cache, weights
    from model.registration.registrar import Registrar
    from shards.store import open_set
    from train.evaluation import output, pair_files, pair_report, pairs

    compilation_cache.enable()
    with output.writing_to(out):  # fails before the work, not after it
        shards, registrar = open_set(directory), Registrar(checkpoint)
        inputs = pairs.describe_inputs(shards, split, checkpoint)
        results = pairs.evaluate(shards, split, weights.load(checkpoint), out, inputs)
        summary = pair_files.write(results, out, inputs)
        pair_report.write(results, summary, shards, out, registrar)
    click.echo(results.table())
    click.echo(f"{out}: report.html, evaluation.json, figures.csv, pairs.csv, …")
    _warn_uncalibrated(inputs["score"], checkpoint)


def _evaluate_fvc(
    folder: Path, checkpoint: Path, out: Path, ppi: float | None, minutiae: Path | None
) -> None:
    from itertools import chain

    from model.network import compilation_cache
    from model.registration import calibration
    from model.registration.registrar import Registrar
    from train.evaluation import fvc, fvc_files, fvc_report, output, reference_minutiae
    from train.evaluation.file_methods import FileMethods
    from train.evaluation.impression_folder import find_impressions

    compilation_cache.enable()
    files = list(chain.from_iterable(find_impressions(folder).values()))
    by_file = reference_minutiae.load(minutiae, files) if minutiae else None
    registrar = Registrar(checkpoint)
    with output.writing_to(out):
        inputs = fvc.describe_inputs(folder, checkpoint, ppi, minutiae)
        inputs["score"] = calibration.score_meaning(registrar.calibrated)
        methods = FileMethods(registrar, ppi, by_file)
        of_file = methods.minutiae if by_file else None
        results = fvc.evaluate(folder, methods.compare, out, inputs, of_file)
        fvc_files.write(results, folder, out, inputs)
        fvc_report.write(results, folder, out, inputs, registrar)
    if methods.resolutions:
        click.echo(f"{folder}: {resolution.summarize(methods.resolutions)}")
    warning = resolution.warn_of_doubtful(methods.resolutions, "--ppi")
    if warning:
        click.echo(warning, err=True)
    click.echo(fvc_report.console_table(results))
    click.echo(f"{out}: report.html, fvc.json, *.csv, worst/")
    _warn_uncalibrated(inputs["score"], checkpoint)
    if results.faults:
        raise Fault("; ".join(results.faults))


def _warn_uncalibrated(meaning: str, checkpoint: Path) -> None:
    """Print a warning if scores are not probabilities."""
    from model.registration import calibration

    if meaning == calibration.UNCALIBRATED:
        click.echo(f"{checkpoint}: {meaning}", err=True)
