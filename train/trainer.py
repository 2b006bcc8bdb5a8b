"""The trainer: steps, epochs, validation and checkpoints of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from model.network import weights
from model.network.config import ModelConfig
from shards.foundation.errors import Fault
from shards.foundation.printable import counted
from shards.foundation.progress import Progress
from shards.store import ShardSet
from train import checkpoint, export, hosts, loader, peak_speed, starting_network, step
from train.config import TrainConfig
from train.logs import RunLog
from train.monitor import Monitor
from train.stop_signals import StopCheck, StopRequested, check_stop
from train.validation import validate

# Settings that may differ between a checkpoint and the run that continues it: they decide how long
# the run is, and with it the learning rate of each step, how often it saves, and in how many parts
# it computes.
CHANGEABLE = tuple(
    f"train.{key}"
    for key in ("epochs", "steps", "accumulate", "checkpoint_every", "latest_every", "log_every")
)


@dataclass(frozen=True)
class Settings:
    """Everything that determines a run."""

    shards: Path  # folder of the shard set
    directory: Path  # the run's folder
    model: ModelConfig
    train: TrainConfig
    resume: str | None = None  # "latest", a run's folder or a checkpoint's
    overfit: bool = False  # train on the first batch only
    start_from: Path | None = None  # trained network; None: start from random parameters


class Trainer:
    """The parts of a run and its position. Steps are counted from 1.

    Attributes:
        step: Number of the last step that was dispatched.
        saved_step: Step of RUN/latest.
        state: Parameters, optimiser and step on the devices.
    """

    def __init__(
        self,
        settings: Settings,
        shards: ShardSet,
        mesh: jax.sharding.Mesh,
        echo: Callable[[str], None],
    ) -> None:
        config, model, spec = settings.train, settings.model, shards.manifest.spec
        self.settings, self.config, self.shards, self.mesh = settings, config, shards, mesh
        self.host = (jax.process_index(), jax.process_count())
        self.batches = loader.TrainingBatches(
            shards, config.batch_size, config.seed, self.host, settings.overfit
        )
        epoch_steps = config.epochs * self.batches.steps
        self.total_steps = epoch_steps if config.steps is None else min(config.steps, epoch_steps)
        scale = spec["crop"] / spec["size"]
        self.program = step.make_program(model, config, self.total_steps, mesh, scale)
        geometry = weights.CropGeometry(spec["crop"], spec["size"], spec["grid"])
        self.export_metadata = weights.metadata(model, geometry)
        self.start = (
            starting_network.load(settings.start_from, model, geometry)
            if settings.start_from
            else None
        )
        self.flat_config = _flatten(model=vars(model), train=vars(config), pipeline=spec)
        if self.start:
            self.flat_config["start_from"] = f"a network of sha256 {self.start.sha256}"
        self.log = RunLog(settings.directory, echo, hosts.is_first())
        batch = step.abstract_batch(model, config, spec["grid"], mesh)
        ideal_seconds = peak_speed.seconds_at_peak(self.program.flops(batch), mesh.devices.flat)
        self.monitor = Monitor(self.log, config, self.batches, self.total_steps, ideal_seconds)
        self.step, self.saved_step = 0, 0

    def close(self) -> None:
        """Stop the reading thread and close the log."""
        self.batches.close()
        self.log.close()

    def run(self, stop: StopCheck) -> bool:
        """Restore or initialise, train, export.

        Returns:
            False where `stop` named a signal before the last step.
        """
        if hosts.is_first():
            checkpoint.settle(self.settings.directory)
        hosts.wait_for_all("settled")
        if self._restore_or_initialise():
            return True
        self._describe()
        try:
            self._train(stop)
        except StopRequested as signal_name:
            self._save_latest()
            self.log.announce(
                f"{signal_name}: saved step {self.step} of {self.total_steps}; the same command"
                " continues"
            )
            return False
        self._export()
        return True

    def initialise(self) -> None:
        """Start before the first step."""
        self.state = self.program.initialise()
        if self.start:
            self.state = self.start.replace_parameters(self.state, self.mesh)
        self.log.truncate(0)

    def advance(self) -> None:
        """Dispatch one step, then handle metrics of earlier ones; do not wait for the device."""
        with self.monitor.clock.waiting():
            batch = next(self.batches)
        placed = step.put({name: batch[name] for name in step.LOSS_INPUTS}, self.mesh)
        with jax.transfer_guard("disallow"):
            self.state, metrics = self.program.train(self.state, placed)
            self.monitor.fetch_when_due()
        self.step += 1
        self.monitor.add(self.step, metrics)

    def _restore_or_initialise(self) -> bool:
        """Set the state of the run; True where the run is finished already."""
        path = checkpoint.find(self.settings.directory, self.settings.resume)
        if path is None:
            self.initialise()
            return False
        meta = checkpoint.load_meta(path)
        self._check_config(path, meta)
        self.batches.restore(meta["data"])
        if self._is_finished(path, meta):
            return True
        self.state = checkpoint.load_state(path, self.program.abstract)
        self.step = self.saved_step = meta["step"]
        self.monitor.restore(meta["journal"])
        self.log.truncate(self.step)
        self.log.announce(f"continuing from {path}: step {self.step} of {self.total_steps}")
        return False

    def _check_config(self, path: Path, meta: checkpoint.Meta) -> None:
        """Check that the checkpoint was trained with this config."""
        differences = checkpoint.differences(meta["config"], self.flat_config, CHANGEABLE)
        if differences:
            raise Fault(
                f"{path}: trained with another config: {'; '.join(differences)}. Resume with its"
                " own config, or train this one into another --checkpoint_dir"
            )

    def _is_finished(self, path: Path, meta: checkpoint.Meta) -> bool:
        """Whether the run's folder holds this very run, finished; announces it."""
        target = self.settings.directory / export.FILE
        is_own = path.parent == self.settings.directory and target.is_file()
        if meta["step"] < self.total_steps or not is_own:
            return False
        self.log.announce(f"already trained: {target} holds step {meta['step']}; nothing to do")
        return True

    def _describe(self) -> None:
        """Write run.json and announce the size of the run."""
        devices = list(self.mesh.devices.flat)
        self.log.write_run_info(
            {
                "config": self.flat_config,
                "devices": [f"{d.platform}:{d.id} {d.device_kind}" for d in devices],
                "shards": {"path": str(self.settings.shards), **self.batches.identity},
                "spec_hash": self.shards.manifest.spec_hash,
                "validation": {
                    "shards": loader.split_digest(self.shards, "val"),
                    "pairs": self.shards.count("val"),
                },
                "steps": self.total_steps,
            }
        )
        batch_size, steps = self.config.batch_size, self.batches.steps
        left_out = self.batches.pairs - steps * batch_size
        remainder = f" ({left_out} pairs are left out of each, others every time)"
        show_remainder = left_out and not self.settings.overfit
        self.log.announce(
            f"{self.batches.pairs} training pairs, {self._validation_text()};"
            f" {counted(self.total_steps, 'step')} of {counted(batch_size, 'pair')},"
            f" {steps} per epoch{remainder if show_remainder else ''};"
            f" {len(devices)} × {devices[0].device_kind}"
        )

    def _validation_text(self) -> str:
        """What the run is validated on, for the user."""
        if self.settings.overfit:
            return "only the first batch of them is used"
        count = self.shards.count("val")
        return f"{count} validation pairs" if count else "no validation pairs, so no validation"

    def _train(self, stop: StopCheck) -> None:
        """Take all steps that are left. Raises StopRequested."""
        if self.step < self.total_steps:
            self.log.announce("compiling the step, then training")
        pairs_left = (self.total_steps - self.step) * self.config.batch_size
        with Progress("train", pairs_left, "pairs") as progress:
            while True:
                check_stop(stop)
                if self._is_epoch_end() and not self.monitor.is_epoch_logged(self.step):
                    self._end_epoch(stop)
                if self.step >= self.total_steps:
                    return
                self.advance()
                progress.advance(self.config.batch_size, **self.monitor.console_values(self.step))
                if self._is_latest_due() and not self._is_epoch_end():
                    self._save_latest()

    def _end_epoch(self, stop: StopCheck) -> None:
        """Validate, log the epoch's summary, save the checkpoints that are due."""
        self.monitor.fetch()
        with self.monitor.clock.paused():
            self.shards.check_unchanged()
            metrics = self._validate(stop)
        self.monitor.end_epoch(self.step, metrics)
        epoch = self.monitor.epoch(self.step)
        is_complete = self.step % self.batches.steps == 0
        is_kept = is_complete and epoch % self.config.checkpoint_every == 0
        if is_kept:
            self._save(checkpoint.epoch_path(self.settings.directory, epoch))
        if is_kept or self.step == self.total_steps or self._is_latest_due():
            self._save_latest()

    def _validate(self, stop: StopCheck) -> dict[str, float] | None:
        """Accuracy over the validation split, or the one batch of an overfit; None if empty."""
        split = "train" if self.settings.overfit else "val"
        indices = self.batches.indices(0) if self.settings.overfit else None
        batches = loader.evaluation_batches(
            self.shards, split, self.config.batch_size, indices, self.host
        )
        return validate(self.program, self.state.params, batches, self.mesh, stop)

    def _save(self, path: Path) -> None:
        if hosts.is_first():
            with self.monitor.clock.paused():
                checkpoint.save(path, self.state, self._meta())

    def _save_latest(self) -> None:
        self.monitor.fetch()  # raises where the run has diverged: such a state is never saved
        self.shards.check_unchanged()  # neither is one of other data than it names
        if hosts.is_first():
            with self.monitor.clock.paused():
                checkpoint.save_latest(self.settings.directory, self.state, self._meta())
        self.saved_step = self.step

    def _export(self) -> None:
        """Write the final parameters."""
        target = self.settings.directory / export.FILE
        tensors = weights.tensors(jax.device_get(self.state.params))
        if hosts.is_first():
            arrays = {name: np.asarray(value) for name, value in tensors.items()}
            export.save(target, arrays, self.export_metadata)
        self.log.announce(f"trained {counted(self.step, 'step')}; parameters in {target}")

    def _meta(self) -> checkpoint.Meta:
        """The JSON part of a checkpoint."""
        return {
            "step": self.step,
            "epoch": self.monitor.epoch(self.step),
            "config": self.flat_config,
            "data": self.batches.state(),
            "journal": self.monitor.state(),  # running means of the metrics
            "export": self.export_metadata,
        }

    def _is_epoch_end(self) -> bool:
        is_last = self.step == self.total_steps
        return self.step > 0 and (self.step % self.batches.steps == 0 or is_last)

    def _is_latest_due(self) -> bool:
        return self.step - self.saved_step >= self.config.latest_every


def _flatten(**parts: dict[str, Any]) -> dict[str, Any]:
    """{"model.width": 256, …} in the form in which JSON returns it."""
    flat = {f"{part}.{k}": value for part, fields in parts.items() for k, value in fields.items()}
    return json.loads(json.dumps(flat))
