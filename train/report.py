"""One self-contained page on a training run: what it was made of, how good it is, how it looks.

Opens without a network: images lie in the page itself.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model import weights
from model.picture import compose
from model.refine import texture
from model.register import Print, Registrar
from model.summary import summarise
from pipeline.preprocess import Prepared
from pipeline.warp import IDENTITY
from shards import page, record, show
from shards.errors import Fault, Misuse
from shards.store import ShardSet, open_set
from train import conditions, evaluate, export, logs

SHEET = {"genuine": 4, "genuine-impressions": 2, "impostor": 2}  # pairs shown with their truth

# Figure, heading, format, and whether more or less of it is better.
COLUMNS: tuple[tuple[str, str, str, Callable[..., float]], ...] = (
    ("epe_median", "EPE median", "{:.2f}", min),
    ("epe_mean", "EPE mean", "{:.2f}", min),
    ("pck@2", "PCK@2", "{:.1%}", max),
    ("pck@4", "PCK@4", "{:.1%}", max),
    ("pck@8", "PCK@8", "{:.1%}", max),
    ("precision", "precision", "{:.1%}", max),
    ("recall", "recall", "{:.1%}", max),
    ("rotation_error_deg", "rotation error", "{:.2f}°", min),
    ("auc", "AUC", "{:.3f}", max),
    ("eer", "EER", "{:.1%}", min),
)


def write(
    directory: Path, run: Path, out: Path, picture: Path | None, echo: Callable[[str], None]
) -> None:
    """Write the page on the run in the folder `run`, trained on the shard set in `directory`.

    Evaluates on the test pairs first, where RUN/evaluation does not hold that already. `picture` is
    a PNG of `python -m model register --picture` to be shown. Misuse names what is missing.
    """
    if picture is not None and not picture.is_file():
        raise Misuse(f"{picture}: no such picture; python -m model register --picture draws one")
    evaluate.make_folder(out.parent)
    shards, checkpoint = open_set(directory), run / export.FILE
    registrar = Registrar(checkpoint)
    split = "test" if shards.count("test") else "val"
    report, pairs = _evaluated(shards, split, checkpoint, run / "evaluation", echo)
    text = page.render(
        Path(__file__).with_name("report.html"),
        title="Dense fingerprint registration",
        subtitle=f"Run {run}, shard set {directory}",
        evaluated=f"{report['pairs']:,} pairs of fingers that were never trained on ({split}).",
        methods=list(report["methods"]),
        columns=[heading for _, heading, _, _ in COLUMNS],
        accuracy=_accuracy(report["methods"]),
        groups=_groups(report["methods"]),
        conditions=_conditions(report),
        calibration=page.said(report["calibration_error"], "{:.3f}"),
        example=_example(shards, split, pairs, registrar),
        picture=page.inline(picture.read_bytes()) if picture else None,
        curves=_curves(run),
        sheet=_sheet(shards, split, pairs),
        facts=_facts(shards, run, registrar),
    )
    out.write_text(text, encoding="utf-8")


def _evaluated(
    shards: ShardSet, split: str, checkpoint: Path, folder: Path, echo: Callable[[str], None]
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The evaluation in `folder`, made where it is not there or is of another set or checkpoint."""
    facts = evaluate.describe(shards, split, checkpoint)
    found = evaluate.read(folder, facts)
    if found is None:
        evaluate.write(evaluate.evaluate(shards, split, weights.load(checkpoint)), folder, facts)
        found = evaluate.read(folder, facts)
    else:
        echo(f"{folder}: evaluated before, kept")
    if found is None:
        raise Fault(f"{folder}: does not hold what was just written there")
    return found


def _accuracy(methods: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a method over all pairs, the best of each column marked."""
    figures = {method: groups["all"] for method, groups in methods.items()}
    rows: dict[str, Any] = {method: {"method": method, "cells": []} for method in methods}
    for key, _, form, better in COLUMNS:
        known = [found[key] for found in figures.values() if found[key] is not None]
        for method, found in figures.items():
            best = found[key] is not None and found[key] == better(known)
            ends = [found.get(f"{key}_{end}") for end in ("low", "high")]
            around = "" if None in ends else "–".join(form.format(end).rstrip("%°") for end in ends)
            text = page.said(found[key], form)
            rows[method]["cells"].append({"text": text, "around": around, "best": best})
    return list(rows.values())


def _groups(methods: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a kind and a noise: median EPE and PCK at 8 px of every method."""
    rows = []
    for name, one in next(iter(methods.values())).items():
        if name != "all" and one["epe_median"] is not None:
            of = [groups[name] for groups in methods.values()]
            cells = [
                f"{page.said(f['epe_median'], '{:.2f}')} / {page.said(f['pck@8'], '{:.0%}')}"
                for f in of
            ]
            rows.append({"name": name, "pairs": one["pairs"], "cells": cells})
    return rows


def _conditions(report: dict[str, Any]) -> str:
    """PCK at 4 px by what makes a pair hard, and the network's confidence judged."""
    figure = Figure(figsize=(12, 6.4), dpi=110, layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    for axes, name in zip(panels, conditions.BINS, strict=False):
        _draw_condition(axes, name, report["methods"])
    curve, calibration = panels[len(conditions.BINS) :]
    points = report["precision_recall"]
    curve.plot([p["recall"] for p in points], [p["precision"] for p in points])
    for k, groups in enumerate(report["methods"].values()):
        one = groups["all"]
        if one["precision"] is not None and one["recall"] is not None:
            curve.plot(one["recall"], one["precision"], "o", color=f"C{k}")
    curve.set(title="Matches right to 8 px", xlabel="recall", ylabel="precision")
    rows = report["reliability"]
    calibration.plot([0, 1], [0, 1], color="#999", linewidth=0.8, linestyle=":")
    calibration.plot([r["confidence"] for r in rows], [r["right"] for r in rows], marker="o")
    calibration.set(title="The network's confidence", xlabel="confidence", ylabel="share right")
    for axes in (curve, calibration):
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    for axes in panels:
        page.plain(axes)
    panels[0].legend(frameon=False, fontsize=8)
    return page.drawn(figure)


def _draw_condition(axes: Axes, name: str, methods: dict[str, Any]) -> None:
    """A line a method over the grades of a condition, with its 95 % intervals."""
    every = next(iter(methods.values()))
    grades = [group for group in every if group.startswith(f"{name} ")]
    at = np.arange(len(grades), dtype=float)
    for k, (method, groups) in enumerate(methods.items()):
        of = [groups[grade] for grade in grades]
        middle, low, high = (
            [math.nan if one.get(f"pck@4{end}") is None else one[f"pck@4{end}"] for one in of]
            for end in ("", "_low", "_high")
        )
        (line,) = axes.plot(at, middle, marker="o", markersize=4, label=method)
        axes.vlines(at + 0.05 * (k - 2), low, high, color=line.get_color(), alpha=0.4)
    labels = [f"{g.removeprefix(name + ' ')}\n({every[g]['pairs']})" for g in grades]
    axes.set_xticks(at, labels, fontsize=8)
    axes.set(title=f"PCK at 4 px by {name} (pairs)", ylim=(0, 1.02))


def _example(
    shards: ShardSet, split: str, pairs: list[dict[str, str]], registrar: Registrar
) -> dict[str, str]:
    """Neither the best nor the worst: the genuine pair of median error, registered."""
    key = f"{evaluate.REGISTERED}: median error"
    genuine = [row for row in pairs if row["kind"] != "impostor" and row[key]]
    if not genuine:
        raise Misuse(f"{shards.directory}: {split} holds no genuine pair to show")
    row = sorted(genuine, key=lambda row: float(row[key]))[len(genuine) // 2]
    pair = record.decode(shards.read(split, [int(row["pair"])])[0])
    a, b = (_print(image, registrar.view) for image in (pair.image_a, pair.image_b))
    figure = compose(a.prepared.image, b.prepared.image, registrar.register_prints(a, b))
    return {
        "image": page.drawn(figure),
        "text": f"As model.register does it: {row['a']} and {row['b']} ({row['kind']}, "
        f"{row['noise']}), as the network sees them, enlarged. The error, {float(row[key]):.1f} px,"
        f" is the median of the {len(genuine)} genuine pairs: half are registered worse.",
    }


def _print(image: NDArray[np.uint8], view: weights.View) -> Print:
    """A crop of a record as the print that it would be if the crop, at 500 ppi, were the file."""
    size = (view.crop, view.crop)
    large = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    whole, middle = np.ones(size, bool), (view.crop - 1) / 2
    prepared = Prepared(large, whole, IDENTITY, (middle, middle))
    return Print(size, prepared, texture(large, whole))


def _curves(run: Path) -> str | None:
    """Training loss by step, and what the validation said; None where nothing was logged."""
    steps = logs.read_steps(run)
    path = run / "logs" / "metrics.json"
    if not steps or not path.is_file():
        return None
    seen = [(e["step"], e["val"]) for e in json.loads(path.read_text()) if e.get("val")]
    figure = Figure(figsize=(10, 3.4), dpi=130, layout="constrained")
    loss, pck, error = figure.subplots(1, 3)
    loss.plot([s["step"] for s in steps], [s["loss"] for s in steps], color="#1f5fa8")
    loss.set(title="Training loss", xlabel="step")
    at = [step for step, _ in seen]
    for limit in (2, 4, 8):
        values = [math.nan if v[f"pck@{limit}"] is None else v[f"pck@{limit}"] for _, v in seen]
        pck.plot(at, values, marker=".", label=f"{limit} px")
    pck.set(title="Validation PCK", xlabel="step", ylim=(0, 1))
    values = [math.nan if v["epe_median"] is None else v["epe_median"] for _, v in seen]
    error.plot(at, values, marker=".", color="#1f5fa8")
    error.set(title="Validation EPE, median, px", xlabel="step", ylim=(0, None))
    if seen:
        pck.legend(frameon=False)
    for axes in (loss, pck, error):
        page.plain(axes)
    return page.drawn(figure)


def _sheet(shards: ShardSet, split: str, pairs: list[dict[str, str]]) -> list[dict[str, str]]:
    """Some pairs of each kind, drawn with their true correspondence."""
    rng = np.random.default_rng(0)
    tiles = []
    for kind, number in SHEET.items():
        of_kind = [row for row in pairs if row["kind"] == kind]
        for index in sorted(rng.permutation(len(of_kind))[:number].tolist()):
            row = of_kind[index]
            pair = record.decode(shards.read(split, [int(row["pair"])])[0])
            png = cv2.imencode(".png", show.tile(pair, split, "")[show.HEAD :])[1].tobytes()
            ids = " and ".join(dict.fromkeys((row["a"], row["b"])))
            tiles.append({"image": page.inline(png), "text": f"{kind}, {row['noise']}: {ids}"})
    return tiles


def _facts(shards: ShardSet, run: Path, registrar: Registrar) -> dict[str, dict[str, Any]]:
    """Tables of what the set, the network and the run were."""
    spec, network = shards.manifest.spec, summarise(registrar.config)
    path = run / "logs" / "run.json"
    started = json.loads(path.read_text()) if path.is_file() else {}
    settings = {k: v for k, v in started.get("config", {}).items() if k.startswith("train.")}
    versions = {f"{name} version": found for name, found in started.get("versions", {}).items()}
    return {
        "Shard set": {
            **{split: f"{shards.count(split):,} pairs" for split in ("train", "val", "test")},
            **{key: _plain(value) for key, value in spec.items()},
            "spec hash": shards.manifest.spec_hash[:16],
        },
        "Network": {
            "parameters": f"{network.parameters:,}",
            "forward pass": f"{network.flops / 1e9:.2f} GFLOP a pair",
            **{key: _plain(value) for key, value in dataclasses.asdict(registrar.config).items()},
        },
        "Run": {
            "devices": _plain(started.get("devices", "unknown")),
            **{key.removeprefix("train."): _plain(value) for key, value in settings.items()},
            **{key: started[key] for key in ("steps", "commit", "started") if key in started},
            **versions,
        },
    }


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
