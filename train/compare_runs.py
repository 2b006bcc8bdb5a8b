"""Compare runs: the metrics of their last epochs, and the settings in which they differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shards.foundation import files
from shards.foundation.errors import Misuse
from shards.foundation.text_table import format_table
from train.curves import Metrics, read_epochs

COLUMNS = (
    "loss",
    "val.pck@2",
    "val.pck@4",
    "val.pck@8",
    "val.epe_median",
    "val.auc",
    "pairs_per_s",
)


def compare(runs: Sequence[Path]) -> str:
    """Format a table of the last epoch of every run, and the settings in which the runs differ.

    Args:
        runs: Folders of the runs.

    Raises:
        Misuse: A folder contains no finished epoch.
    """
    last_epochs = [_flatten(_last_epoch(run)) for run in runs]
    keys = ["epoch", "step", *(k for k in COLUMNS if any(k in epoch for epoch in last_epochs))]
    table = [["run", *keys]]
    for run, epoch in zip(runs, last_epochs, strict=True):
        table.append([str(run), *(_format(epoch.get(key)) for key in keys)])
    notes = [*_validation_warning(runs), *_setting_differences(runs)]
    return "\n".join([format_table(table), "", *notes])


def _validation_warning(runs: Sequence[Path]) -> list[str]:
    """Return a warning where the runs were not all validated on the same pairs."""
    sets = [_validation_set(run) for run in runs]
    if len({key for key, _ in sets}) == 1:
        return []
    described = " | ".join(text for _, text in sets)
    return [f"validated on different sets, so val.* cannot be compared: {described}"]


def _validation_set(run: Path) -> tuple[str, str]:
    """Return what identifies the pairs that a run was validated on, and a text on them."""
    info = files.read_json(run / "logs" / "run.json") or {}
    shards = info.get("shards", {})
    path, known = shards.get("path", "unknown"), info.get("validation")
    if known is None:  # a run of an earlier version: its training shards stand for the set
        key = shards.get("training shards") or info.get("spec_hash") or str(run)
        return str(key), f"{path} (pairs not recorded)"
    return str(known["shards"]), f"{path} ({known['pairs']:,} pairs)"


def _setting_differences(runs: Sequence[Path]) -> list[str]:
    """One line per setting that is not the same in all runs."""
    settings = [_flatten(_read_settings(run)) for run in runs]
    names = sorted({name for of_run in settings for name in of_run})
    values = {name: [of_run.get(name) for of_run in settings] for name in names}
    differences = [
        f"{name}: {' | '.join(map(str, of_runs))}"
        for name, of_runs in values.items()
        if len({json.dumps(value) for value in of_runs}) > 1
    ]
    return differences or ["the settings are the same"]


def _last_epoch(run: Path) -> Metrics:
    epochs = read_epochs(run)
    if not epochs:
        raise Misuse(f"{run}: no finished epoch of a training run here (logs/metrics.json)")
    return epochs[-1]


def _read_settings(run: Path) -> Metrics:
    return (files.read_json(run / "logs" / "run.json") or {}).get("config", {})


def _flatten(values: Metrics, prefix: str = "") -> Metrics:
    """{"val": {"auc": 1}} as {"val.auc": 1}."""
    flat: Metrics = {}
    for key, value in values.items():
        name = prefix + key
        flat.update(_flatten(value, name + ".") if isinstance(value, dict) else {name: value})
    return flat


def _format(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
