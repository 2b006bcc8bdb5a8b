"""Metrics of a run's steps and epochs: fetched from the devices, checked, averaged and logged."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import Any

import jax

from shards.foundation.errors import Fault
from train.config import TrainConfig
from train.loader import TrainingBatches
from train.logs import RunLog
from train.meters import Clock, Meter


@dataclass(frozen=True)
class MonitorParameters:
    """How often metrics are fetched and how much of them is shown."""

    # steps whose metrics are fetched in one transfer; measured, docs/LOG.md, 2026-11-23, "The cost
    # of the training loop": one by one they cost more than their transfer
    max_steps_per_fetch: int = 8
    # s that the steps of one fetch may take, so that slow steps are fetched one by one; chosen: the
    # delay after which a divergence is noticed
    max_fetch_seconds: float = 1.0
    # steps of an epoch before rates are shown; chosen: the first ones vary
    min_steps_for_rates: int = 10
    # pairs named in the message about a divergence; chosen: one screen
    max_pairs_named: int = 4


class Monitor:
    """Metrics of a run, by step and by epoch. Steps and epochs are counted from 1.

    Args:
        log: Where metrics are written.
        config: Settings of the run.
        batches: Batches of the run, to name the pairs of a step.
        total_steps: Steps of the run.
        ideal_step_seconds: Time of a step, in s, if all devices computed at their peak.
        parameters: Numbers of this class.

    Attributes:
        clock: Time of the run.
    """

    def __init__(
        self,
        log: RunLog,
        config: TrainConfig,
        batches: TrainingBatches,
        total_steps: int,
        ideal_step_seconds: float,
        parameters: MonitorParameters = MonitorParameters(),
    ) -> None:
        self.log, self.clock, self.total_steps = log, Clock(), total_steps
        self.parameters = parameters
        self._config, self._batches, self._ideal = config, batches, ideal_step_seconds
        self._meters = {"interval": Meter(), "epoch": Meter()}
        self._pending: list[tuple[int, dict[str, jax.Array]]] = []
        self._last_fetch, self._steps_per_fetch = time.monotonic(), 1
        self._rates: dict[str, float] = {}

    def epoch(self, step: int) -> int:
        """Number of the epoch that a step belongs to."""
        return -(-step // self._batches.steps)

    def state(self) -> dict[str, Any]:
        """Running means as JSON values; call `fetch` first."""
        return {name: meter.state() for name, meter in self._meters.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue with the running means of a `state`."""
        for name, meter in self._meters.items():
            meter.restore(state[name])

    def add(self, step: int, metrics: dict[str, jax.Array]) -> None:
        """Register the metrics of a dispatched step, which are fetched later."""
        self._pending.append((step, metrics))
        if self.clock.started:
            self.clock.steps += 1
            return
        jax.block_until_ready(metrics)
        self.log.write(f"the first step took {self.clock.seconds:.1f} s, compilation included")
        self.clock.restart()
        self.clock.started = True

    def fetch_when_due(self) -> None:
        """Call `fetch` once enough steps are pending; to be called while another step runs."""
        if len(self._pending) >= self._steps_per_fetch:
            self.fetch()

    def fetch(self) -> None:
        """Fetch and log the metrics of all pending steps.

        Raises:
            Fault: A metric is not finite; the message names step and pairs.
        """
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        fetched = jax.device_get([metrics for _, metrics in pending])
        self._adapt_fetching(len(pending))
        self._rates = self.rates()  # every step that the clock counts is done now
        for (step, _), metrics in zip(pending, fetched, strict=True):
            self._log_step(step, {name: float(value) for name, value in metrics.items()})

    def _adapt_fetching(self, steps: int) -> None:
        """Choose how many steps are fetched together, by the time of the last `steps`."""
        now = time.monotonic()
        step_seconds = max(now - self._last_fetch, 1e-9) / steps
        most = min(
            self.parameters.max_steps_per_fetch, self.parameters.max_fetch_seconds / step_seconds
        )
        self._last_fetch, self._steps_per_fetch = now, max(1, int(most))

    def _log_step(self, step: int, metrics: dict[str, float]) -> None:
        if not all(math.isfinite(value) for value in metrics.values()):
            raise self._divergence(step, metrics)
        learning_rate = metrics.pop("learning_rate")
        for meter in self._meters.values():
            meter.add(metrics)
        if step % self._config.log_every == 0 or step in (1, self.total_steps):
            line = {"step": step, "epoch": self.epoch(step), **self._meters["interval"].means()}
            self.log.add_step({**line, "learning_rate": learning_rate, **self._rates})
            self._meters["interval"] = Meter()

    def is_epoch_logged(self, step: int) -> bool:
        """Whether the epoch that ends with this step has its summary."""
        return bool(self.log.epochs) and self.log.epochs[-1]["step"] == step

    def end_epoch(self, step: int, validation: dict[str, float] | None) -> None:
        """Log the summary of the epoch that ends with this step; start new means."""
        means = self._meters["epoch"].means()
        summary = {"epoch": self.epoch(step), "step": step, **means, **self.rates()}
        self._meters["epoch"] = Meter()
        self.log.add_epoch({**summary, "val": validation})
        self.log.write(json.dumps(self.log.epochs[-1]))
        self.clock.restart()

    def console_values(self, step: int) -> dict[str, object]:
        """Values for the progress bar, beside the rate and the time left."""
        values: dict[str, object] = {
            "step": f"{step}/{self.total_steps}",
            "epoch": self.epoch(step),
        }
        means, rates = self._meters["epoch"].means(), self._rates
        if means:
            values["loss"] = means["loss"]
        if self.log.epochs and self.log.epochs[-1]["val"]:
            values["val_pck@4"] = self.log.epochs[-1]["val"]["pck@4"]
        if rates and self.clock.steps >= self.parameters.min_steps_for_rates:
            values["wait"] = f"{100 * rates['wait']:.1f}%"
            values["utilisation"] = f"{100 * rates['utilisation']:.1f}%"
        return values

    def rates(self) -> dict[str, float]:
        """Pairs per second, share of the time spent waiting for data, share of the devices' peak.

        Empty before the first step of an epoch.
        """
        if not self.clock.steps:
            return {}
        seconds = self.clock.seconds
        return {
            "pairs_per_s": self.clock.steps * self._config.batch_size / seconds,
            "wait": self.clock.waited / seconds,
            "utilisation": self.clock.steps * self._ideal / seconds,
        }

    def _divergence(self, step: int, metrics: dict[str, float]) -> Fault:
        """The error of a step with metrics that are not finite."""
        wrong = ", ".join(f"{k} is {v}" for k, v in metrics.items() if not math.isfinite(v))
        pairs = [f"{a} × {b}" for a, b in self._batches.image_ids(step - 1)]
        self.log.write(f"step {step}: {wrong}; its pairs: {'; '.join(pairs)}")
        count = self.parameters.max_pairs_named
        more = f" and {len(pairs) - count} more (logs/train.log)" if len(pairs) > count else ""
        return Fault(
            f"step {step} (epoch {self.epoch(step)}): {wrong}; its pairs: "
            f"{'; '.join(pairs[:count])}{more}. It was not saved: the checkpoints are of earlier "
            "steps. Lower train.learning_rate, or look at these pairs with python -m shards show"
        )
