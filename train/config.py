"""Settings of a training run. Imports no jax, so that a config can be read without it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run; the defaults are the published ones (IFViT, arXiv 2404.08237)."""

    epochs: int = 100  # passes over the training pairs
    steps: int | None = None  # upper limit of the run; None: as many as the epochs need
    batch_size: int = 128  # pairs of the global batch, whatever the number of devices
    accumulate: int = 1  # micro-batches per step
    learning_rate: float = 1e-3  # at the end of the warm-up
    warmup_fraction: float = 0.05  # share of all steps; the paper states none, chosen
    weight_decay: float = 2e-4  # of AdamW
    clip_norm: float = 1.0  # largest global norm of the gradient; the paper states none, chosen
    checkpoint_every: int = 5  # epochs
    latest_every: int = 500  # steps between rolling checkpoints, for pre-emption
    log_every: int = 50  # steps
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise a ValueError for settings that cannot be trained."""
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
