"""Checkpoints that an earlier Kaggle session left as a notebook's output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shards.foundation import kaggle
from train import checkpoint


def find_checkpoint(
    run: Path, resume_from: str | None, echo: Callable[[str], None], root: Path = kaggle.INPUT
) -> str | None:
    """Find the checkpoint to resume from.

    Args:
        run: The run's folder.
        resume_from: Value of --resume_from.
        echo: Prints a line, when a checkpoint of an earlier session is taken.
        root: Folder below which an earlier session's checkpoints are searched.

    Returns:
        `resume_from`; but for "latest" in a run without checkpoints the most advanced checkpoint
        below `root`, if there is one.
    """
    if resume_from != checkpoint.LATEST or checkpoint.find(run, None):
        return resume_from
    digests = kaggle.find_files(f"{checkpoint.LATEST}/{checkpoint.DIGESTS}", echo, root)
    steps = {path.parent: checkpoint.load_meta(path.parent)["step"] for path in digests}
    if not steps:
        return resume_from
    newest = max(steps, key=steps.__getitem__)
    echo(f"{run}: no checkpoint here; continuing from step {steps[newest]} in {newest}")
    return str(newest)
