"""Curves of runs: read the logged metrics, plot loss and accuracy."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shards.foundation import files
from shards.foundation.errors import Fault

Metrics = dict[str, Any]


def read_steps(run: Path) -> list[Metrics]:
    """Read metrics.jsonl of a run; a line that was cut off by a kill ends the list."""
    path = run / "logs" / "metrics.jsonl"
    lines = files.read_text(path).splitlines() if path.is_file() else []
    steps: list[Metrics] = []
    for line in lines:
        try:
            steps.append(json.loads(line))
        except ValueError:
            break
    return steps


def read_epochs(run: Path) -> list[Metrics]:
    """Read metrics.json of a run; empty where there is none, Fault where it is damaged."""
    return files.read_json(run / "logs" / "metrics.json") or []


def loss_curve(steps: Sequence[Metrics]) -> tuple[list[int], list[float]]:
    """Return the steps and losses of the curve of the training loss.

    A line of the log is the mean over the steps since the line before. The last one, where the run
    ended sooner after it, is the mean of fewer steps, which would look like a jump: it is averaged
    with the line before.
    """
    positions, losses = [line["step"] for line in steps], [line["loss"] for line in steps]
    if len(steps) < 3:
        return positions, losses
    whole, rest = positions[-2] - positions[-3], positions[-1] - positions[-2]
    if rest < whole:
        mean = (whole * losses[-2] + rest * losses[-1]) / (whole + rest)
        positions[-2:], losses[-2:] = [positions[-1]], [mean]
    return positions, losses


def plot_curves(runs: Sequence[Path], path: Path) -> None:
    """Plot training loss and validation PCK at 4 px of runs by step, one above the other.

    Args:
        runs: Folders of the runs.
        path: Picture to write.

    Raises:
        Fault: The picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    FigureCanvasAgg(figure)
    loss_axes, pck_axes = figure.subplots(2, 1)
    for run in runs:
        steps, epochs = read_steps(run), [e for e in read_epochs(run) if e.get("val")]
        loss_axes.plot(*loss_curve(steps), label=str(run))
        pck = [e["val"].get("pck@4") for e in epochs]
        pck = [math.nan if value is None else value for value in pck]
        pck_axes.plot([e["step"] for e in epochs], pck, marker=".")
    loss_axes.set(ylabel="training loss", yscale="log")
    pck_axes.set(ylabel="validation PCK at 4 px", xlabel="step", ylim=(0, 1))
    loss_axes.legend(fontsize="small")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise Fault(f"{path}: cannot be written: {error}") from error
