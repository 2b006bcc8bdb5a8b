"""A training run from its first step, or from a checkpoint, to the exported parameters."""

from __future__ import annotations

import contextlib
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
from shards.foundation.progress import Progress
from shards.manifest import Manifest
from shards.store import ShardSet, open_set
from train import checkpoint, export, flops, hosts, loader, state, step
from train.config import TrainConfig
from train.evaluation import accuracy
from train.logs import Log
from train.monitor import Journal
from train.process import sole_owner, stop_signals

# What may change between a checkpoint and its resumption: how long, how often, in how many parts.
FREE = tuple(
    f"train.{key}"
    for key in ("epochs", "steps", "accumulate", "checkpoint_every", "latest_every", "log_every")
)


@dataclass(frozen=True)
class Settings:
    """What to train, on what and where."""

    shards: Path
    directory: Path
    model: ModelConfig
    train: TrainConfig
    resume: str | None = None  # "latest", a run's folder or a checkpoint's
    overfit: bool = False  # one batch for ever


class Stopped(Exception):
    """A signal, which is named, asks for the end."""


def run(settings: Settings, devices: list[jax.Device], echo: Callable[[str], None]) -> bool:
    """Train until the last step or a signal; True where the run is finished.

    A run that was begun in the folder goes on from its latest checkpoint, a finished one is left
    as it is. Fault or Misuse names what does not fit: shards, config, checkpoint, devices.
    """
    config = settings.train
    step.check_batch(config.batch_size, config.accumulate, len(devices))
    shards = open_set(settings.shards)
    check_fits(shards.manifest, settings.model, settings.shards)
    try:
        with _owner(settings.directory), stop_signals() as stop:
            mesh = state.make_mesh(devices)
            trainer = Trainer(settings, shards, mesh, echo)
            try:
                return trainer.run(hosts.Agreement(stop, mesh))
            finally:
                trainer.close()
    except OSError as error:
        raise Fault(f"{settings.directory}: cannot be written: {error}") from error


def _owner(directory: Path) -> contextlib.AbstractContextManager[None]:
    """The hold on a run's folder, which is the first process's for all of them."""
    return sole_owner(directory) if hosts.is_first() else contextlib.nullcontext()


def check_fits(manifest: Manifest, model: ModelConfig, directory: Path) -> None:
    """Fault where the records of a shard set are not what the network takes."""
    spec: dict[str, Any] = {key: manifest.spec.get(key) for key in ("crop", "size", "grid")}
    if any(type(value) is not int or value < 1 for value in spec.values()):
        raise Fault(f"{directory}/manifest.json: its spec has no whole crop, size and grid: {spec}")
    if spec["size"] != model.image_size:
        raise Fault(
            f"{directory}: images of {spec['size']} px, the config's network takes "
            f"{model.image_size} px (model.image_size); build the shards with the same --config"
        )
    if spec["grid"] % model.cells:
        raise Fault(
            f"{directory}: ground truth on {spec['grid']} cells a side, the config's network has "
            f"{model.cells} (model.image_size / model.stride), which do not divide it; "
            "build the shards with the same --config"
        )


def _flat(**parts: dict[str, Any]) -> dict[str, Any]:
    """{"model.width": 256, …} as JSON gives it back."""
    flat = {f"{part}.{k}": value for part, fields in parts.items() for k, value in fields.items()}
    return json.loads(json.dumps(flat))


class Trainer:
    """The parts of a run and where it stands. Steps are counted from 1; 0 is before the first."""

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
        wanted = config.epochs * self.batches.steps
        self.total = wanted if config.steps is None else min(config.steps, wanted)
        scale = spec["crop"] / spec["size"]
        self.program = step.make_program(model, config, self.total, mesh, scale)
        view = weights.CropGeometry(spec["crop"], spec["size"], spec["grid"])
        self.facts = weights.metadata(model, view)
        self.flat = _flat(model=vars(model), train=vars(config), pipeline=spec)
        self.log = Log(settings.directory, echo, hosts.is_first())
        batch = step.abstract_batch(model, config, spec["grid"], mesh)
        ideal = flops.seconds_at_peak(self.program.flops(batch), mesh.devices.flat)
        self.journal = Journal(self.log, config, self.batches, self.total, ideal)
        self.step, self.saved = 0, 0  # the step that is done, and the last in RUN/latest

    def close(self) -> None:
        """End what reads ahead and what writes behind."""
        self.batches.close()
        self.log.close()

    def run(self, stop: Callable[[], str | None]) -> bool:
        """Restore or begin, train, export; False where `stop` named a signal first."""
        if hosts.is_first():
            checkpoint.settle(self.settings.directory)
        hosts.wait_for_all("settled")
        found = checkpoint.find(self.settings.directory, self.settings.resume)
        if found is None:
            self.begin()
        else:
            meta = checkpoint.load_meta(found)
            self._compare(found, meta)
            self.batches.restore(meta["data"])
            if self._is_finished(found, meta):
                return True
            self._restore(found, meta)
        self._describe()
        try:
            self._train(stop)
        except Stopped as stopped:
            self._save_latest()
            said = f"{stopped}: saved step {self.step} of {self.total}; the same command goes on"
            self.log.say(said)
            return False
        self._export()
        return True

    def _is_finished(self, found: Path, meta: checkpoint.Meta) -> bool:
        """Whether the run's folder holds this very run, done; says so."""
        target = self.settings.directory / export.FILE
        done = meta["step"] >= self.total and found.parent == self.settings.directory
        if done and target.is_file():
            self.log.say(f"already trained: {target} holds step {meta['step']}; nothing to do")
            return True
        return False

    def begin(self) -> None:
        """Stand before the first step."""
        self.state = self.program.initialise()
        self.log.rewind(0)

    def _restore(self, path: Path, meta: checkpoint.Meta) -> None:
        self.state = checkpoint.load_state(path, self.program.abstract)
        self.step = self.saved = meta["step"]
        self.journal.restore(meta["journal"])
        self.log.rewind(self.step)
        self.log.say(f"going on from {path}: step {self.step} of {self.total}")

    def _compare(self, path: Path, meta: checkpoint.Meta) -> None:
        other = checkpoint.differences(meta["config"], self.flat, FREE)
        if other:
            raise Fault(
                f"{path}: trained with another config: {'; '.join(other)}. Resume with its own "
                "config, or train this one into another --checkpoint_dir"
            )

    def _describe(self) -> None:
        devices = [f"{d.platform}:{d.id} {d.device_kind}" for d in self.mesh.devices.flat]
        manifest = self.shards.manifest
        self.log.describe(
            {
                "config": self.flat,
                "devices": devices,
                "shards": {"path": str(self.settings.shards), **self.batches.fingerprint},
                "spec_hash": manifest.spec_hash,
                "steps": self.total,
            }
        )
        batch, epoch = self.config.batch_size, self.batches.steps
        left = self.batches.pairs - epoch * batch
        remainder = f" ({left} pairs are left out of each, others every time)" if left else ""
        held = (
            f"{self.shards.count('val')} validation pairs"
            if self.shards.count("val")
            else ("no validation pairs, so nothing will be validated")
        )
        if self.settings.overfit:
            held, remainder = "of these one batch for ever", ""
        self.log.say(
            f"{self.batches.pairs} training pairs, {held}; {self.total} steps of {batch} pairs, "
            f"{epoch} an epoch{remainder}; {len(devices)} × {self.mesh.devices.flat[0].device_kind}"
        )

    def _train(self, stop: Callable[[], str | None]) -> None:
        if self.step < self.total:
            self.log.say("compiling the step, then training")
        left = (self.total - self.step) * self.config.batch_size
        with Progress("train", left, "pairs") as progress:
            while True:
                if asked := stop():
                    raise Stopped(asked)
                if self._at_boundary() and not self.journal.closed(self.step):
                    self._close_epoch(stop)
                if self.step >= self.total:
                    return
                self.advance()
                progress.advance(self.config.batch_size, **self.journal.shown(self.step))
                if self._is_latest_due() and not self._at_boundary():
                    self._save_latest()

    def advance(self) -> None:
        """Dispatch one step, then look at those before it: the device is never waited for."""
        with self.journal.clock.waiting():
            batch = next(self.batches)
        placed = step.put({name: batch[name] for name in step.LEARNT}, self.mesh)
        with jax.transfer_guard("disallow"):
            self.state, figures = self.program.train(self.state, placed)
            self.journal.keep_up()
        self.step += 1
        self.journal.dispatched(self.step, figures)

    def _close_epoch(self, stop: Callable[[], str | None]) -> None:
        """Validate, write the epoch's summary, keep its checkpoint where one is due."""
        self.journal.read()
        with self.journal.clock.apart():
            figures = self._validate(stop)
        self.journal.close_epoch(self.step, figures)
        epoch, whole = self.journal.epoch(self.step), self.step % self.batches.steps == 0
        keep = whole and epoch % self.config.checkpoint_every == 0
        if keep:
            self._save(checkpoint.epoch_path(self.settings.directory, epoch))
        if keep or self.step == self.total or self._is_latest_due():
            self._save_latest()

    def _validate(self, stop: Callable[[], str | None]) -> dict[str, float] | None:
        """Metrics of train.evaluation.accuracy over the validation split; in an overfit, over its batch."""
        split = "train" if self.settings.overfit else "val"
        only = self.batches.indices(0) if self.settings.overfit else None
        found = []
        batches = loader.evaluation_batches(
            self.shards, split, self.config.batch_size, only, self.host
        )
        for batch, count in batches:
            if asked := stop():
                raise Stopped(asked)
            arrays = jax.device_get(
                self.program.evaluate(self.state.params, step.put(batch, self.mesh))
            )
            found.append({name: value[:count] for name, value in arrays.items()})
        if not found:
            return None
        return accuracy.summarise(
            {k: np.concatenate([part[k] for part in found]) for k in found[0]}
        )

    def _save(self, path: Path) -> None:
        if hosts.is_first():
            with self.journal.clock.apart():
                checkpoint.save(path, self.state, self._meta())

    def _save_latest(self) -> None:
        self.journal.read()  # what has diverged is never saved
        if hosts.is_first():
            with self.journal.clock.apart():
                checkpoint.save_latest(self.settings.directory, self.state, self._meta())
        self.saved = self.step

    def _export(self) -> None:
        target = self.settings.directory / export.FILE
        tensors = weights.tensors(jax.device_get(self.state.params))
        if hosts.is_first():
            arrays = {name: np.asarray(value) for name, value in tensors.items()}
            export.save(target, arrays, self.facts)
        self.log.say(f"trained {self.step} steps; parameters in {target}")

    def _meta(self) -> checkpoint.Meta:
        return {
            "step": self.step,
            "epoch": self.journal.epoch(self.step),
            "config": self.flat,
            "data": self.batches.state(),
            "journal": self.journal.state(),
            "export": self.facts,
        }

    def _at_boundary(self) -> bool:
        return self.step > 0 and (self.step % self.batches.steps == 0 or self.step == self.total)

    def _is_latest_due(self) -> bool:
        return self.step - self.saved >= self.config.latest_every
