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
from matplotlib.figure import Figure

from model.network import weights
from model.network.summary import summarise
from model.registration.plot import plot_registration
from model.registration.registrar import Registrar
from shards import contact_sheet, record
from shards.foundation import html
from shards.foundation.errors import Fault, Misuse
from shards.store import ShardSet, open_set
from train import export, logs
from train.evaluation import pair_files, pairs
from train.evaluation import pair_report as sections

SHEET = {"genuine": 4, "genuine-impressions": 2, "impostor": 2}  # pairs shown with their truth


def write(
    directory: Path, run: Path, out: Path, picture: Path | None, echo: Callable[[str], None]
) -> None:
    """Write the page on the run in the folder `run`, trained on the shard set in `directory`.

    Evaluates on the test pairs first, where RUN/evaluation does not hold that already. `picture` is
    a PNG of `python -m model register --picture` to be shown. Misuse names what is missing.
    """
    if picture is not None and not picture.is_file():
        raise Misuse(f"{picture}: no such picture; python -m model register --picture draws one")
    pair_files.make_folder(out.parent)
    shards, checkpoint = open_set(directory), run / export.FILE
    registrar = Registrar(checkpoint)
    split = "test" if shards.count("test") else "val"
    report, pairs = _evaluated(shards, split, checkpoint, run / "evaluation", echo)
    text = html.render(
        Path(__file__).parent / "evaluation/templates/run.html",
        title="Dense fingerprint registration",
        subtitle=f"Run {run}, shard set {directory}",
        evaluated=f"{report['pairs']:,} pairs of fingers that were never trained on ({split}).",
        **sections.section(report),
        example=_example(shards, split, pairs, registrar),
        picture=html.embed_image(picture.read_bytes()) if picture else None,
        curves=_curves(run),
        sheet=_sheet(shards, split, pairs),
        facts=_facts(shards, run, registrar),
    )
    out.write_text(text, encoding="utf-8")


def _evaluated(
    shards: ShardSet, split: str, checkpoint: Path, folder: Path, echo: Callable[[str], None]
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The evaluation in `folder`, made where it is not there or is of another set or checkpoint."""
    facts = pairs.describe(shards, split, checkpoint)
    found = pair_files.read(folder, facts)
    if found is None:
        pair_files.make_folder(folder)
        made = pairs.evaluate(shards, split, weights.load(checkpoint), folder, facts)
        pair_files.write(made, folder, facts)
        found = pair_files.read(folder, facts)
    else:
        echo(f"{folder}: evaluated before, kept")
    if found is None:
        raise Fault(f"{folder}: does not hold what was just written there")
    return found


def _example(
    shards: ShardSet, split: str, rows: list[dict[str, str]], registrar: Registrar
) -> dict[str, str]:
    """Neither the best nor the worst: the genuine pair of median error, registered."""
    key = f"{pairs.REGISTERED}: median error"
    genuine = [row for row in rows if row["kind"] != "impostor" and row[key]]
    if not genuine:
        raise Misuse(f"{shards.directory}: {split} holds no genuine pair to show")
    row = sorted(genuine, key=lambda row: float(row[key]))[len(genuine) // 2]
    pair = record.decode(shards.read(split, [int(row["pair"])])[0])
    a, b = (sections.as_print(image, registrar.geometry) for image in (pair.image_a, pair.image_b))
    figure = plot_registration(
        a.prepared.image, b.prepared.image, registrar.register_impressions(a, b)
    )
    return {
        "image": html.embed_figure(figure),
        "text": f"As model.registration.registrar does it: {row['a']} and {row['b']} ({row['kind']}, "
        f"{row['noise']}), as the network sees them, enlarged. The error, {float(row[key]):.1f} px,"
        f" is the median of the {len(genuine)} genuine pairs: half are registered worse.",
    }


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
        html.style_axes(axes)
    return html.embed_figure(figure)


def _sheet(shards: ShardSet, split: str, pairs: list[dict[str, str]]) -> list[dict[str, str]]:
    """Some pairs of each kind, drawn with their true correspondence."""
    rng = np.random.default_rng(0)
    tiles = []
    for kind, number in SHEET.items():
        of_kind = [row for row in pairs if row["kind"] == kind]
        for index in sorted(rng.permutation(len(of_kind))[:number].tolist()):
            row = of_kind[index]
            pair = record.decode(shards.read(split, [int(row["pair"])])[0])
            png = cv2.imencode(".png", contact_sheet.tile(pair, split, "")[contact_sheet.HEAD :])[
                1
            ].tobytes()
            ids = " and ".join(dict.fromkeys((row["a"], row["b"])))
            tiles.append({"image": html.embed_image(png), "text": f"{kind}, {row['noise']}: {ids}"})
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
            "forward pass": f"{network.flops / 1e9:.2f} GFLOP per pair",
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
