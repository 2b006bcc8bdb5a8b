"""HTML page on a training run: accuracy, example registrations, curves, data and settings.

The page is one file that holds its images, so that it opens without a network.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure

from model.network import metrics, weights
from model.network.summary import summarise
from model.registration.registrar import Registrar
from shards.foundation import files, html
from shards.foundation.errors import Fault, Misuse
from shards.foundation.folder_lock import sole_writer
from shards.plot import plot_panels
from shards.store import ShardSet, open_set
from train import curves, export
from train.evaluation import output, pair_files, pair_report, pairs
from train.evaluation.crop_methods import REGISTERED

TEMPLATE = Path(__file__).parent / "evaluation/templates/run.html"
EVALUATION = "evaluation"  # folder in a run
BLUE = "#1f5fa8"

PairRows = list[dict[str, str]]  # rows of pairs.csv
Echo = Callable[[str], None]


@dataclass(frozen=True)
class RunReportParameters:
    """Settings of the page."""

    # Pairs shown with their true correspondence, by kind; chosen
    genuine_pairs: int = 4
    genuine_impressions_pairs: int = 2
    impostor_pairs: int = 2
    seed: int = 0  # of the choice of these pairs

    def pairs_by_kind(self) -> dict[str, int]:
        """Return the number of pairs shown of each kind of `record.KINDS`."""
        return {
            "genuine": self.genuine_pairs,
            "genuine-impressions": self.genuine_impressions_pairs,
            "impostor": self.impostor_pairs,
        }


DEFAULT = RunReportParameters()


def write(
    directory: Path,
    run: Path,
    out: Path,
    picture: Path | None,
    echo: Echo,
    parameters: RunReportParameters = DEFAULT,
) -> None:
    """Write the page on a run.

    The network is evaluated on the test pairs first, unless RUN/evaluation already holds the
    results for the same inputs.

    Args:
        directory: the shard set that the network was trained on.
        run: folder of the run.
        out: the page.
        picture: a PNG of `python -m model register --picture` to show.
        echo: called with a message for the user.
        parameters: which pairs are shown.

    Raises:
        Misuse: the picture, the shard set or the checkpoint does not exist.
    """
    if picture is not None and not picture.is_file():
        raise Misuse(f"{picture}: no such picture; make it by python -m model register --picture")
    output.make_folder(out.parent)
    shards, checkpoint = open_set(directory), run / export.FILE
    registrar = Registrar(checkpoint)
    split = "test" if shards.count("test") else "val"
    summary, rows = _evaluate(shards, split, checkpoint, run / EVALUATION, echo)
    text = html.render(
        TEMPLATE,
        title="Dense fingerprint registration",
        subtitle=f"Run {run}, shard set {directory}",
        evaluated=f"{summary['pairs']:,} pairs of fingers that were never trained on ({split}).",
        **pair_report.accuracy_section(summary),
        example=_example(shards, split, rows, registrar),
        picture=html.embed_image(files.read_bytes(picture)) if picture else None,
        curves=_curves(run),
        sheet=_sheet(shards, split, rows, parameters),
        facts=_facts(shards, run, registrar),
    )
    files.write_text(out, text, follow_links=True)


def _evaluate(
    shards: ShardSet, split: str, checkpoint: Path, folder: Path, echo: Echo
) -> tuple[dict[str, Any], PairRows]:
    """Return evaluation.json and pairs.csv of a folder; evaluate first where they are outdated."""
    inputs = pairs.describe_inputs(shards, split, checkpoint)
    stored = pair_files.read(folder, inputs)
    if stored is not None:
        echo(f"{folder}: evaluated before, kept")
        return stored
    with sole_writer(folder, "--run"):
        results = pairs.evaluate(shards, split, weights.load(checkpoint), folder, inputs)
        pair_files.write(results, folder, inputs)
    stored = pair_files.read(folder, inputs)
    if stored is None:
        raise Fault(f"{folder}: does not hold what was just written there")
    return stored


def _example(shards: ShardSet, split: str, rows: PairRows, registrar: Registrar) -> dict[str, str]:
    """Register the genuine pair whose error is the median of all; return picture and text."""
    candidates, key = example_candidates(rows), f"{REGISTERED}: median error"
    if not candidates:
        raise Misuse(f"{shards.directory}: {split} holds no genuine pair to show")
    row = candidates[len(candidates) // 2]
    pair = shards.pairs(split, [int(row["pair"])])[0]
    what = "an image and its own copy" if row["kind"] == "genuine" else "two impressions"
    return {
        "image": html.embed_figure(pair_report.plot_crops(pair, registrar)),
        "text": f"Registered by model.registration.registrar: {row['a']} and {row['b']}"
        f" ({row['kind']}, {row['noise']}), the crops of the record, enlarged. The error,"
        f" {float(row[key]):.1f} px, is the median of the {len(candidates)} pairs of {what}.",
    }


def example_candidates(rows: PairRows) -> PairRows:
    """Return the pairs of which one is shown, by their median error.

    They are the pairs of two impressions of a finger. An image and its own copy, which are easy,
    stand in where there is nothing else.

    Args:
        rows: of pairs.csv.
    """
    key = f"{REGISTERED}: median error"
    genuine = [row for row in rows if row["kind"] != "impostor" and row[key]]
    candidates = [row for row in genuine if row["kind"] == "genuine-impressions"] or genuine
    return sorted(candidates, key=lambda row: float(row[key]))


def _curves(run: Path) -> str | None:
    """Plot training loss and validation metrics; None where nothing was logged."""
    steps = curves.read_steps(run)
    logged = curves.read_epochs(run)
    if not steps or not logged:
        return None
    epochs = [epoch for epoch in logged if epoch.get("val")]
    position = [epoch["step"] for epoch in epochs]
    figure = Figure(figsize=(10, 3.4), dpi=130, layout="constrained")
    loss, pck, error = figure.subplots(1, 3)
    loss.plot(*curves.loss_curve(steps), color=BLUE)
    loss.set(title="Training loss", xlabel="step")
    for limit in metrics.DEFAULT.pck_distances:
        values = _validation(epochs, f"pck@{limit}")
        pck.plot(position, values, marker=".", label=f"{limit} px")
    pck.set(title="Validation PCK", xlabel="step", ylim=(0, 1))
    error.plot(position, _validation(epochs, "epe_median"), marker=".", color=BLUE)
    error.set(title="Validation EPE, median, px", xlabel="step", ylim=(0, None))
    if epochs:
        pck.legend(frameon=False)
    for axes in (loss, pck, error):
        html.style_axes(axes)
    return html.embed_figure(figure)


def _validation(epochs: list[dict[str, Any]], name: str) -> list[float]:
    """Return a validation metric by epoch, NaN where it is undefined."""
    return [math.nan if epoch["val"][name] is None else epoch["val"][name] for epoch in epochs]


def _sheet(
    shards: ShardSet, split: str, rows: PairRows, parameters: RunReportParameters
) -> list[dict[str, str]]:
    """Plot some pairs of each kind with their true correspondence."""
    rng = np.random.default_rng(parameters.seed)
    tiles = []
    for kind, number in parameters.pairs_by_kind().items():
        of_kind = [row for row in rows if row["kind"] == kind]
        for index in sorted(rng.permutation(len(of_kind))[:number].tolist()):
            row = of_kind[index]
            pair = shards.pairs(split, [int(row["pair"])])[0]
            png = cv2.imencode(".png", plot_panels(pair))[1].tobytes()
            ids = " and ".join(dict.fromkeys((row["a"], row["b"])))
            tiles.append({"image": html.embed_image(png), "text": f"{kind}, {row['noise']}: {ids}"})
    return tiles


def _facts(shards: ShardSet, run: Path, registrar: Registrar) -> dict[str, dict[str, Any]]:
    """Return tables of the settings of shard set, network and run."""
    network = summarise(registrar.config)
    return {
        "Shard set": {
            **{split: f"{shards.count(split):,} pairs" for split in ("train", "val", "test")},
            **{key: _text(value) for key, value in shards.manifest.spec.items()},
            "spec hash": shards.manifest.spec_hash[:16],
        },
        "Network": {
            "parameters": f"{network.parameters:,}",
            "forward pass": f"{network.flops / 1e9:.2f} GFLOP per pair",
            **{key: _text(value) for key, value in dataclasses.asdict(registrar.config).items()},
        },
        "Run": _run_facts(run / "logs" / "run.json"),
    }


def _run_facts(path: Path) -> dict[str, Any]:
    """Return devices, settings, commit and versions of a run from its run.json."""
    started = files.read_json(path) or {}
    settings = {
        key.removeprefix("train."): _text(value)
        for key, value in started.get("config", {}).items()
        if key.startswith("train.")
    }
    versions = {f"{name} version": of for name, of in started.get("versions", {}).items()}
    return {
        "devices": _text(started.get("devices", "unknown")),
        **settings,
        **{key: started[key] for key in ("steps", "commit", "started") if key in started},
        **versions,
    }


def _text(value: Any) -> str:
    """Return a setting as text."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
