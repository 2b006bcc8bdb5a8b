"""Settings of a training run; free of jax, so that a config can be read without it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainConfig:
    """The published settings (IFViT, arXiv 2404.08237) by default."""

    epochs: int = 100
    steps: int | None = None  # as many as the epochs need; a number caps the run
    batch_size: int = 128  # global, whatever the number of devices
    accumulate: int = 1  # micro-batches a step
    learning_rate: float = 1e-3  # at the end of the warm-up
    warmup_fraction: float = 0.05  # of all steps
    weight_decay: float = 2e-4
    clip_norm: float = 1.0
    checkpoint_every: int = 5  # epochs
    latest_every: int = 500  # steps between rolling checkpoints, for pre-emption
    log_every: int = 50  # steps
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, with a ValueError that says why."""
        counts = ("epochs", "batch_size", "accumulate", "checkpoint_every", "latest_every")
        for name in (*counts, "log_every", *(("steps",) if self.steps is not None else ())):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is not 1 or more")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed {self.seed} is not within 0 to 2³² - 1")
        for name in ("learning_rate", "weight_decay", "clip_norm"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} {getattr(self, name)} is not finite")
        if not 0 <= self.warmup_fraction <= 1:
            raise ValueError(f"warmup_fraction {self.warmup_fraction} is not within 0 to 1")
        if min(self.learning_rate, self.clip_norm) <= 0 or self.weight_decay < 0:
            raise ValueError("learning_rate and clip_norm are positive, weight_decay not negative")
