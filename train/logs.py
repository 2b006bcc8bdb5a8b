"""What a run leaves to be read: train.log, metrics.jsonl, metrics.json, run.json, curves."""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from shards.foundation import files
from shards.foundation.errors import Fault, Misuse
from shards.foundation.text_table import format_table

ROOT = Path(__file__).parents[1]
SHOWN = ("loss", "val.pck@2", "val.pck@4", "val.pck@8", "val.epe_median", "val.auc", "pairs_per_s")

Figures = dict[str, Any]


class Log:
    """The folder RUN/logs. `echo` says a line to the person too; with `writes` False nobody says
    or writes anything, as in all but one of several processes."""

    def __init__(self, run: Path, echo: Callable[[str], None], writes: bool = True) -> None:
        self.directory, self._echo, self._writes = run / "logs", echo, writes
        if writes:
            self.directory.mkdir(parents=True, exist_ok=True)
        self.epochs: list[Figures] = _read_epochs(run)
        self._events: SummaryWriter | None = None  # TensorBoard's

    def say(self, text: str) -> None:
        """A line for the person and for train.log."""
        if self._writes:
            self._echo(text)
            self.note(text)

    def note(self, text: str) -> None:
        """A line for train.log alone."""
        self._append("train.log", f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def step(self, figures: Figures) -> None:
        """A line of metrics.jsonl, and its figures for TensorBoard; figures holds "step"."""
        self._append("metrics.jsonl", _json(figures) + "\n")
        self._plot({f"train/{k}": v for k, v in figures.items() if k != "step"}, figures["step"])

    def epoch(self, summary: Figures) -> None:
        """One more summary in metrics.json, and the curves anew; it holds "epoch" and "step"."""
        self.epochs.append(json.loads(_json(summary)))
        self._replace("metrics.json", _pretty(self.epochs))
        self._plot({f"val/{k}": v for k, v in (summary["val"] or {}).items()}, summary["step"])
        if self._writes:
            draw_curves([self.directory.parent], self.directory / "curves.png")

    def rewind(self, step: int) -> None:
        """Forget what was logged after `step`: it will be done again."""
        lines = [
            figures for figures in read_steps(self.directory.parent) if figures["step"] <= step
        ]
        self._replace("metrics.jsonl", "".join(_json(figures) + "\n" for figures in lines))
        self.epochs = [summary for summary in self.epochs if summary["step"] <= step]
        self._replace("metrics.json", _pretty(self.epochs))
        if self._writes:
            self._events = SummaryWriter(
                self.directory / "tensorboard",
                purge_step=step + 1,
                filename_suffix=f".{step}",  # names have whole seconds, and a restart may be sooner
            )

    def close(self) -> None:
        """Write out what TensorBoard's file still lacks."""
        if self._events is not None:
            self._events.close()

    def describe(self, figures: Figures) -> None:
        """run.json: what the run was started from, with versions, commit and lock."""
        packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")
        lock = ROOT / "uv.lock"
        facts = {
            "commit": _commit(),
            "lock": files.sha256(lock) if lock.is_file() else None,
            "versions": {name: version(name) for name in packages},
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        self._replace("run.json", _pretty({**figures, **facts}))

    def _plot(self, figures: Figures, step: int) -> None:
        """Numbers for TensorBoard."""
        for name, value in figures.items():
            if self._events is not None and isinstance(value, int | float):
                self._events.add_scalar(name.replace("@", "_at_"), value, step)

    def _append(self, name: str, text: str) -> None:
        if self._writes:
            with (self.directory / name).open("a") as file:
                file.write(text)

    def _replace(self, name: str, text: str) -> None:
        if self._writes:
            files.write_bytes(self.directory / name, text.encode(), durable=True)


def read_steps(run: Path) -> list[Figures]:
    """The lines of metrics.jsonl; one that a kill cut short ends them."""
    path, found = run / "logs" / "metrics.jsonl", []
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def compare(runs: Sequence[Path]) -> str:
    """A table of the last epoch of every run, then the settings in which they differ.

    Misuse where a folder holds no run.
    """
    last = [_flat(_epochs(run)[-1]) for run in runs]
    keys = ["epoch", "step", *(key for key in SHOWN if any(key in row for row in last))]
    table = [["run", *keys]]
    for run, row in zip(runs, last, strict=True):
        table.append([str(run), *(_short(row.get(key)) for key in keys)])
    configs = [_flat(_settings(run)) for run in runs]
    names = sorted({key for config in configs for key in config})
    different = [n for n in names if len({_json(config.get(n)) for config in configs}) > 1]
    said = [f"{n}: {' | '.join(str(config.get(n)) for config in configs)}" for n in different]
    return "\n".join([format_table(table), "", *(said or ["the settings are the same"])])


def draw_curves(runs: Sequence[Path], path: Path) -> None:
    """The training loss and the validation PCK of all runs by step, one above the other.

    Fault where the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    FigureCanvasAgg(figure)
    loss, pck = figure.subplots(2, 1)
    for run in runs:
        steps, epochs = read_steps(run), _epochs(run)
        loss.plot([s["step"] for s in steps], [s["loss"] for s in steps], label=str(run))
        seen = [(e["step"], e["val"].get("pck@4")) for e in epochs if e.get("val")]
        pck.plot([s for s, _ in seen], [math.nan if v is None else v for _, v in seen], marker=".")
    loss.set(ylabel="training loss", yscale="log")
    pck.set(ylabel="validation PCK at 4 px", xlabel="step", ylim=(0, 1))
    loss.legend(fontsize="small")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise Fault(f"{path}: cannot be drawn: {error}") from error


def _epochs(run: Path) -> list[Figures]:
    epochs = _read_epochs(run)
    if not epochs:
        raise Misuse(f"{run}: no finished epoch of a training run here (logs/metrics.json)")
    return epochs


def _read_epochs(run: Path) -> list[Figures]:
    return files.read_json(run / "logs" / "metrics.json") or []


def _settings(run: Path) -> Figures:
    return (files.read_json(run / "logs" / "run.json") or {}).get("config", {})


def _commit() -> str | None:
    """The commit of the code, None where it is not under git."""
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
    return json.dumps(_clean(value), allow_nan=False)


def _pretty(value: Any) -> str:
    return json.dumps(_clean(value), indent=1) + "\n"


def _clean(value: Any) -> Any:
    """NaN and infinity, which JSON does not know, as null."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _flat(figures: Figures, prefix: str = "") -> Figures:
    flat: Figures = {}
    for key, value in figures.items():
        name = prefix + key
        flat.update(_flat(value, name + ".") if isinstance(value, dict) else {name: value})
    return flat


def _short(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
