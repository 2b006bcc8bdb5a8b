"""Logs of a run in RUN/logs: train.log, metrics.jsonl, metrics.json, run.json, curves."""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from shards.foundation import files
from train.curves import plot_curves, read_epochs, read_steps

# The folder that this package is imported from: the repository, or site-packages
ROOT = Path(__file__).parents[__name__.count(".")]
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")

Metrics = dict[str, Any]


class RunLog:
    """Writer of the files in RUN/logs.

    Args:
        run: The run's folder.
        echo: Prints a line for the user.
        writes: Whether this process prints and writes; only the first of several processes does.

    Attributes:
        epochs: Summaries of all epochs so far.
    """

    def __init__(self, run: Path, echo: Callable[[str], None], writes: bool = True) -> None:
        self.directory, self._echo, self._writes = run / "logs", echo, writes
        if writes:
            self.directory.mkdir(parents=True, exist_ok=True)
        self.epochs: list[Metrics] = read_epochs(run)
        self._tensorboard: SummaryWriter | None = None

    def announce(self, text: str) -> None:
        """Print a line and write it to train.log."""
        if self._writes:
            self._echo(text)
            self.write(text)

    def write(self, text: str) -> None:
        """Write a line to train.log."""
        self._append("train.log", f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def add_step(self, metrics: Metrics) -> None:
        """Write the metrics of a step, with the key "step", to metrics.jsonl and TensorBoard."""
        self._append("metrics.jsonl", _json(metrics) + "\n")
        scalars = {f"train/{k}": v for k, v in metrics.items() if k != "step"}
        self._add_scalars(scalars, metrics["step"])

    def add_epoch(self, summary: Metrics) -> None:
        """Add the summary of an epoch, with the keys "epoch", "step" and "val", to metrics.json.

        Also writes its validation metrics to TensorBoard and plots the curves again.
        """
        self.epochs.append(json.loads(_json(summary)))
        self._replace("metrics.json", _indented_json(self.epochs))
        validation = {f"val/{k}": v for k, v in (summary["val"] or {}).items()}
        self._add_scalars(validation, summary["step"])
        if self._writes:
            plot_curves([self.directory.parent], self.directory / "curves.png")

    def truncate(self, step: int) -> None:
        """Remove everything that was logged after `step`: the run will do it again."""
        lines = [line for line in read_steps(self.directory.parent) if line["step"] <= step]
        self._replace("metrics.jsonl", "".join(_json(line) + "\n" for line in lines))
        self.epochs = [summary for summary in self.epochs if summary["step"] <= step]
        self._replace("metrics.json", _indented_json(self.epochs))
        if self._writes:
            self._tensorboard = SummaryWriter(
                self.directory / "tensorboard",
                purge_step=step + 1,
                # the library's names have whole seconds, and a restart may come sooner
                filename_suffix=f".{step}",
            )

    def write_run_info(self, info: Metrics) -> None:
        """Write run.json: `info`, and versions, commit, lock and time of the start."""
        lock = ROOT / "uv.lock"
        environment = {
            "commit": _commit(),
            "lock": files.sha256(lock) if lock.is_file() else None,
            "versions": {name: version(name) for name in PACKAGES},
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        self._replace("run.json", _indented_json({**info, **environment}))

    def close(self) -> None:
        """Flush TensorBoard's file."""
        if self._tensorboard is not None:
            self._tensorboard.close()

    def _add_scalars(self, scalars: Metrics, step: int) -> None:
        """Write the finite numbers among `scalars` to TensorBoard."""
        for name, value in scalars.items():
            is_number = isinstance(value, int | float) and math.isfinite(value)
            if self._tensorboard is not None and is_number:
                self._tensorboard.add_scalar(name.replace("@", "_at_"), value, step)

    def _append(self, name: str, text: str) -> None:
        if self._writes:
            with files.open_to_append(self.directory / name) as file:
                file.write(text.encode())

    def _replace(self, name: str, text: str) -> None:
        if self._writes:
            files.write_bytes(self.directory / name, text.encode(), durable=True)


def _commit() -> str | None:
    """Commit of the code; None where it is not under git."""
    if not (ROOT / ".git").exists():  # a package installed within somebody else's repository
        return None
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return result.stdout.strip() or None


def _json(value: Any) -> str:
    return json.dumps(_without_nan(value), allow_nan=False)


def _indented_json(value: Any) -> str:
    return json.dumps(_without_nan(value), indent=1) + "\n"


def _without_nan(value: Any) -> Any:
    """Replace NaN and infinity, which JSON does not have, by None."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
