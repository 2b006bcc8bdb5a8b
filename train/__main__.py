"""Command line of the trainer: python -m train COMMAND."""

from __future__ import annotations

import os
from pathlib import Path

# Before numpy is imported: evaluations multiply many small matrices, one by one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

import configs
from model.network.start_jax import report_start_errors, start_jax
from shards.foundation import files, kaggle
from shards.foundation.cli import CommandGroup
from shards.foundation.errors import Fault
from train.evaluation.benchmark.command import benchmark
from train.evaluation.command import NETWORK_HELP, evaluate

RUN = Path("checkpoints/dense_reg")
CONFIG_HELP = "Config file; configs/paper.py by default."
SET_HELP = "Override a setting of the config, such as train.steps=100."


@click.group(cls=CommandGroup)
def main() -> None:
    """Train the network on a shard set; evaluate, compare and export it."""


main.add_command(benchmark)


@main.command()
@click.option("--shards", type=click.Path(path_type=Path), required=True, help="The shard set.")
@click.option(
    "--checkpoint-dir",
    type=click.Path(path_type=Path),
    default=lambda: kaggle.WORKING / RUN if kaggle.WORKING.is_dir() else RUN,
    show_default=str(RUN),
    help="The run's folder: checkpoints, logs, final parameters.",
)
@click.option("--config", type=click.Path(path_type=Path), default=configs.PAPER, help=CONFIG_HELP)
@click.option("--resume-from", help="'latest', the folder of a run, or that of a checkpoint.")
@click.option(
    "--start-from",
    type=click.Path(path_type=Path),
    help="Trained network, a .safetensors file, to start a new run from.",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help=SET_HELP)
@click.option(
    "--require", type=click.Choice(["tpu", "gpu"]), help="Refuse to start without such devices."
)
@click.option(
    "--devices", type=click.IntRange(1), help="Number of devices to use; on a CPU, to create."
)
@click.option(
    "--overfit", is_flag=True, help="Train on the first batch only, to test that it learns."
)
@click.option(
    "--coordinator", help="With several processes: HOST:PORT of the first one, or 'auto'."
)
@click.option(
    "--process", metavar="i/N", help="Number of this process, from 0, and number of all processes."
)
def run(
    shards: Path,
    checkpoint_dir: Path,
    config: Path,
    resume_from: str | None,
    start_from: Path | None,
    overrides: tuple[str, ...],
    require: str | None,
    devices: int | None,
    overfit: bool,
    coordinator: str | None,
    process: str | None,
) -> None:
    """Train on the available devices, or continue a run.

    The same command again resumes from the run's latest checkpoint; a finished run is left as it
    is. SIGTERM and Ctrl-C save first. On several hosts the same command runs on each, with the same
    shards and folder: --coordinator auto on a TPU pod or under Slurm, else --coordinator HOST:PORT
    --process i/N.

    Example: python -m train run --shards data/shards --checkpoint_dir runs/a --set train.epochs=10
    """
    from shards import store

    chosen = configs.load(config, overrides)
    shards = store.find_set(shards, click.echo)
    store.require_set(shards)  # a missing set is reported before JAX is loaded
    with report_start_errors():  # find_devices starts JAX, after the processes have joined
        import jax  # noqa: F401
    from train import earlier_session, hosts, loop
    from train.state import find_devices

    if coordinator or process:
        hosts.join(coordinator or hosts.AUTO, process)
    selected = find_devices(devices, require)
    settings = loop.Settings(
        shards,
        checkpoint_dir,
        chosen.model,
        chosen.train,
        earlier_session.find_checkpoint(checkpoint_dir, resume_from, click.echo),
        overfit,
        start_from,
    )
    loop.run(settings, selected, click.echo, ends_process=True)


main.add_command(evaluate)


@main.command()
@click.option(
    "--shards", type=click.Path(path_type=Path), required=True, help="Shard set of the training."
)
@click.option("--checkpoint", type=click.Path(path_type=Path), required=True, help=NETWORK_HELP)
@click.option(
    "--fingers",
    type=click.IntRange(2),
    default=100,
    show_default=True,
    help="Number of synthetic fingers.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes; one per core by default.")
def calibrate(shards: Path, checkpoint: Path, fingers: int, workers: int | None) -> None:
    """Calibrate a network: scores become probabilities, and maps state their uncertainty.

    Registers pairs of synthetic fingers and matches validation pairs of SHARDS, fits the weights of
    the score and of the uncertainty and writes them into CHECKPOINT, whose parameters do not
    change. Takes five to ten core-minutes; fewer fingers make it less accurate.

    Example: python -m train calibrate --shards data/shards
    --checkpoint runs/a/dense_reg_ckpt.safetensors
    """
    start_jax()
    from model.network import compilation_cache
    from pipeline import calibration_touches
    from shards.store import open_set
    from train.evaluation import calibrate as calibration

    compilation_cache.enable()
    impressions = calibration_touches.list_fingers(fingers)
    text = calibration.calibrate(
        checkpoint, open_set(shards), impressions, calibration_touches.synthesize, workers
    )
    click.echo(f"{text}\n{checkpoint}: calibrated")


@main.command()
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of a run or a checkpoint, or a .safetensors file.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A .safetensors or .pkl file."
)
def export(checkpoint: Path, out: Path) -> None:
    """Export the parameters of a run, a checkpoint or a .safetensors as .safetensors or .pkl.

    A .pkl has the form of the published script's dense_reg_ckpt.pkl: numpy arrays in nested dicts.

    \b
    Example: python -m train export --checkpoint runs/a/dense_reg_epoch_50 --out e50.safetensors
             python -m train export --checkpoint runs/a --out runs/a/dense_reg_ckpt.pkl
    """
    start_jax()
    from train import export as exports

    arrays, metadata = exports.load(checkpoint)
    exports.save(out, arrays, metadata)
    click.echo(f"{sum(a.size for a in arrays.values()):,} parameters in {out}")


@main.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Plot the curves to this file, too (.png)."
)
def compare(runs: tuple[Path, ...], out: Path | None) -> None:
    """Compare the last epochs of runs, and the settings in which they differ.

    Example: python -m train compare runs/a runs/b --out curves.png
    """
    from train import compare_runs, curves

    click.echo(compare_runs.compare(runs))
    if out:
        curves.plot_curves(runs, out)
        click.echo(f"curves in {out}")


@main.command()
@click.option("--config", type=click.Path(path_type=Path), default=configs.PAPER, help=CONFIG_HELP)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help=SET_HELP)
@click.option("--topology", default="v5e:2x4", show_default=True, help="TPU cores to compile for.")
def check_tpu(config: Path, overrides: tuple[str, ...], topology: str) -> None:
    """Compile the training step for TPU cores, without a TPU: memory, work and hours.

    Needs libtpu, which make check-tpu installs. Compiling the published network takes minutes.

    Example: JAX_PLATFORMS=cpu python -m train check-tpu --topology v5e:2x4
    """
    chosen = configs.load(config, overrides)
    start_jax()
    from train import compile_tpu

    compiled = compile_tpu.compile_step(chosen.model, chosen.train, chosen.pipeline.grid, topology)
    click.echo(compile_tpu.describe(compiled))
    faults = compile_tpu.find_faults(compiled)
    if faults:
        raise Fault("; ".join(faults))
    click.echo("it fits, and the cores exchange only means")


@main.command()
@click.option("--shards", type=click.Path(path_type=Path), required=True, help="The shard set.")
@click.option("--run", type=click.Path(path_type=Path), required=True, help="The run's folder.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The page, a .html file."
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    help="Picture by model register --picture, to show on the page.",
)
def report(shards: Path, run: Path, out: Path, picture: Path | None) -> None:
    """Write one self-contained page about a run: accuracy, a registered pair, curves, pairs.

    Evaluates on the test pairs first, unless RUN/evaluation holds the results.

    Example: python -m train report --shards data/shards --run runs/a --out runs/a/report.html
    """
    start_jax()
    from train import run_report
    from train.evaluation import output

    files.require_ending(out, ".html", "--out")
    with output.reporting_errors(out.parent):
        run_report.write(shards, run, out, picture, click.echo)
    click.echo(out)


if __name__ == "__main__":
    main(prog_name="python -m train")
