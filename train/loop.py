"""A training run: from its first step, or from a checkpoint, to the exported parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import jax

from shards.foundation import files
from shards.foundation.errors import Fault
from shards.foundation.folder_lock import sole_writer
from shards.store import open_set
from train import hosts, state, step
from train.data_check import check_fits
from train.stop_signals import stop_signals
from train.trainer import Settings, Trainer


def run(
    settings: Settings,
    devices: list[jax.Device],
    echo: Callable[[str], None],
    ends_process: bool = False,
) -> bool:
    """Train until the last step or a stop signal.

    A run that exists in the folder continues from its latest checkpoint; a finished one is left as
    it is.

    Args:
        settings: What to train, on which shards, in which folder.
        devices: Devices of all processes.
        echo: Prints a line for the user.
        ends_process: Whether the process ends after the run (see `stop_signals`).

    Returns:
        True where the run is finished, False where a signal stopped it.

    Raises:
        Fault, Misuse: Shards, config, checkpoint or devices do not fit together, the run diverged,
            or the folder cannot be written.
    """
    config = settings.train
    step.check_batch(config.batch_size, config.accumulate, len(devices))
    shards = open_set(settings.shards)
    check_fits(shards.manifest, settings.model, settings.shards)
    is_first = hosts.is_first()
    directory = settings.directory
    lock = sole_writer(directory, "--checkpoint_dir") if is_first else contextlib.nullcontext()
    try:
        with lock, stop_signals(ends_process) as stop:
            mesh = state.make_mesh(devices)
            trainer = Trainer(settings, shards, mesh, echo)
            try:
                return trainer.run(hosts.StopConsensus(stop, mesh))
            finally:
                trainer.close()
    except OSError as error:
        if not files.concerns(directory, error):
            raise
        raise Fault(f"{directory}: cannot be written: {error}") from error
