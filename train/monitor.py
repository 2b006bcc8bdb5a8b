"""What a run's steps and epochs amount to: checked, averaged, logged, shown."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import jax

from shards.foundation.errors import Fault
from train.config import TrainConfig
from train.loader import TrainingBatches
from train.logs import Log
from train.meters import Clock, Meter

NAMED = 4  # pairs of a batch in one message
SETTLED = 10  # steps of an epoch before rates are shown
TOGETHER = 8  # steps whose figures are fetched at once: one by one cost more than their transfer
PATIENCE = 1.0  # s that so many may take: the figures of slow steps are fetched one by one


class Journal:
    """The figures of a run of `total` steps, counted from 1.

    ideal: seconds that a step would take at the devices' peak.
    """

    def __init__(
        self, log: Log, config: TrainConfig, batches: TrainingBatches, total: int, ideal: float
    ) -> None:
        self.log, self.clock, self.total, self._ideal = log, Clock(), total, ideal
        self._config, self._batches = config, batches
        self._meters = {"interval": Meter(), "epoch": Meter()}
        self._pending: list[tuple[int, dict[str, jax.Array]]] = []
        self._read_at, self._together = time.monotonic(), 1
        self._rates: dict[str, float] = {}

    def epoch(self, step: int) -> int:
        """The epoch, from 1, that a step belongs to."""
        return -(-step // self._batches.steps)

    def state(self) -> dict[str, Any]:
        """The averages so far, JSON values; after `read`."""
        return {name: meter.state() for name, meter in self._meters.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with the averages of a `state`."""
        for name, meter in self._meters.items():
            meter.restore(state[name])

    def dispatched(self, step: int, figures: dict[str, jax.Array]) -> None:
        """A step is on its way; its figures are taken in later."""
        self._pending.append((step, figures))
        if self.clock.started:
            self.clock.steps += 1
        else:
            jax.block_until_ready(figures)
            self.log.note(f"the first step took {self.clock.seconds:.1f} s, compiling included")
            self.clock.restart()
            self.clock.started = True

    def keep_up(self) -> None:
        """`read`, while another step runs, once enough have been dispatched."""
        if len(self._pending) >= self._together:
            self.read()

    def read(self) -> None:
        """Take in all dispatched steps; Fault that names step and pairs of one that diverged."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        found = jax.device_get([figures for _, figures in pending])
        before, self._read_at = self._read_at, time.monotonic()
        pace = max(self._read_at - before, 1e-9) / len(pending)
        self._together = max(1, int(min(TOGETHER, PATIENCE / pace)))
        self._rates = self.rates()  # all that is counted is done
        for (step, _), figures in zip(pending, found, strict=True):
            self._take_in(step, {name: float(value) for name, value in figures.items()})

    def _take_in(self, step: int, values: dict[str, float]) -> None:
        if not all(math.isfinite(value) for value in values.values()):
            raise self._diverged(step, values)
        rate = values.pop("learning_rate")
        for meter in self._meters.values():
            meter.add(values)
        if step % self._config.log_every == 0 or step in (1, self.total):
            line = {"step": step, "epoch": self.epoch(step), **self._meters["interval"].means()}
            self.log.step({**line, "learning_rate": rate, **self._rates})
            self._meters["interval"] = Meter()

    def closed(self, step: int) -> bool:
        """Whether the epoch that ends with this step has its summary."""
        return bool(self.log.epochs) and self.log.epochs[-1]["step"] == step

    def close_epoch(self, step: int, validation: dict[str, float] | None) -> None:
        """Write the summary of the epoch that ends with this step, and average anew."""
        means = self._meters["epoch"].means()
        summary = {"epoch": self.epoch(step), "step": step, **means, **self.rates()}
        self._meters["epoch"] = Meter()
        self.log.epoch({**summary, "val": validation})
        self.log.note(json.dumps(self.log.epochs[-1]))
        self.clock.restart()

    def shown(self, step: int) -> dict[str, object]:
        """What the console shows beside pairs a second and the time left."""
        shown: dict[str, object] = {"step": f"{step}/{self.total}", "epoch": self.epoch(step)}
        means, rates = self._meters["epoch"].means(), self._rates
        if means:
            shown["loss"] = means["loss"]
        if self.log.epochs and self.log.epochs[-1]["val"]:
            shown["val_pck@4"] = self.log.epochs[-1]["val"]["pck@4"]
        if rates and self.clock.steps >= SETTLED:
            shown["wait"] = f"{100 * rates['wait']:.1f}%"
            shown["utilisation"] = f"{100 * rates['utilisation']:.1f}%"
        return shown

    def rates(self) -> dict[str, float]:
        """Pairs a second, the share of the time that went into waiting for data, and the share of
        the devices' peak that was reached."""
        if not self.clock.steps:
            return {}
        seconds = self.clock.seconds
        return {
            "pairs_per_s": self.clock.steps * self._config.batch_size / seconds,
            "wait": self.clock.waited / seconds,
            "utilisation": self.clock.steps * self._ideal / seconds,
        }

    def _diverged(self, step: int, values: dict[str, float]) -> Fault:
        bad = ", ".join(f"{k} is {v}" for k, v in values.items() if not math.isfinite(v))
        pairs = [f"{a} × {b}" for a, b in self._batches.image_ids(step - 1)]
        self.log.note(f"step {step}: {bad}; its pairs: {'; '.join(pairs)}")
        more = f" and {len(pairs) - NAMED} more (logs/train.log)" if len(pairs) > NAMED else ""
        return Fault(
            f"step {step} (epoch {self.epoch(step)}): {bad}; its pairs: "
            f"{'; '.join(pairs[:NAMED])}{more}. It was not saved: the checkpoints are of earlier "
            "steps. Lower train.learning_rate, or look at these pairs with python -m shards show"
        )
