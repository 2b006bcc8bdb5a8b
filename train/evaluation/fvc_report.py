"""What is written of an FVC protocol: figures, scores, curves as CSV and JSON, and one page."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.registration import plot
from model.registration.registrar import Registrar
from pipeline.imaging import preprocess
from shards.foundation import html
from shards.foundation.progress import Progress
from shards.foundation.text_table import format_table
from train.evaluation import bootstrap, score_curves
from train.evaluation.file_methods import NETWORK
from train.evaluation.fvc import Outcome
from train.evaluation.pair_files import make_folder, write_table
from train.evaluation.result_log import Row

WORST = 10  # pairs of a kind that are drawn
PERCENT = "{:.1%}"

# Figure, heading, format
RATES = (
    ("eer", "EER", PERCENT),
    ("fmr100", "FMR100", PERCENT),
    ("fmr1000", "FMR1000", PERCENT),
    ("zero_fmr", "ZeroFMR", PERCENT),
    ("auc", "AUC", "{:.4f}"),
)
WITNESSED = (
    ("confirmed", "confirmed", "{:.3f}"),
    ("aligned", "aligned", PERCENT),
    ("residual", "residual, px", "{:.2f}"),
)

Picture = dict[str, str]  # address, text


def write(outcome: Outcome, folder: Path, out: Path, facts: Row, registrar: Registrar) -> None:
    """Everything but the answers themselves, which OUT/answers.jsonl holds.

    OUT/fvc.json and figures.csv (figures with 95 % intervals by method), scores.csv (a comparison a
    line), det.csv, histogram.csv, worst/*.png and report.html.
    """
    make_folder(out / "worst")
    figures = outcome.figures()
    methods = {name: _known(found) for name, found in figures.items()}
    counts = _counts(outcome)
    write_table(out / "figures.csv", [{"method": n, **found} for n, found in methods.items()])
    heard = [name for name, found in methods.items() if "confirmed" in found]
    write_table(out / "scores.csv", [_score_row(row, list(methods), heard) for row in outcome.rows])
    write_table(out / "det.csv", score_curves.trade_off(outcome.scores, outcome.genuine))
    write_table(out / "histogram.csv", score_curves.histograms(outcome.scores, outcome.genuine))
    drawn = score_curves.draw(outcome.scores, outcome.genuine)
    text = html.render(
        Path(__file__).parent / "templates/fvc.html",
        title="Verification by the FVC protocol",
        folder=folder.name,
        counts=counts,
        tables=[_table(figures, RATES), _table(figures, WITNESSED)],
        curves=html.embed_figure(drawn) if drawn else None,
        worst=draw_worst(outcome, folder, out / "worst", registrar, facts["ppi"]),
        faults=outcome.faults,
        facts=facts,
        replicas=bootstrap.DEFAULT.replicas,
    )
    (out / "report.html").write_text(text, encoding="utf-8")
    summary = {"folder": folder.name, **counts, **facts, "methods": methods}
    (out / "fvc.json").write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")


def console(outcome: Outcome) -> str:
    """The figures, a method a line."""
    figures = outcome.figures()
    columns = [c for c in (*RATES, *WITNESSED) if any(c[0] in found for found in figures.values())]
    rows = [["", *(heading for _, heading, _ in columns)]]
    for method, found in figures.items():
        rows.append([method, *(_cell(found, name, form) for name, _, form in columns)])
    return format_table(rows)


def worst(outcome: Outcome, method: str = NETWORK) -> dict[str, list[int]]:
    """The genuine comparisons that score least and the impostor ones that score most."""
    score = outcome.scores.get(method, np.zeros(0))
    if not len(score):
        return {}
    order = [k for k in np.argsort(score, kind="stable").tolist() if math.isfinite(score[k])]
    genuine = [k for k in order if outcome.genuine[k]]
    impostor = [k for k in reversed(order) if not outcome.genuine[k]]
    return {"genuine": genuine[:WORST], "impostor": impostor[:WORST]}


def draw_worst(
    outcome: Outcome, folder: Path, out: Path, registrar: Registrar, ppi: float | None
) -> dict[str, list[Picture]]:
    """The worst comparisons registered again and drawn: PNGs in `out`, smaller ones for a page."""
    chosen = worst(outcome)
    drawn: dict[str, list[Picture]] = {kind: [] for kind in chosen}
    with Progress("draw the worst", sum(map(len, chosen.values())), "pairs") as progress:
        for kind, indices in chosen.items():
            for rank, k in enumerate(indices, 1):
                row = outcome.rows[k]
                a, b = folder / row["a"], folder / row["b"]
                prints = [registrar.prepare_file(path, ppi) for path in (a, b)]
                images = [preprocess.load(path) for path in (a, b)]
                figure = plot.plot_registration(
                    images[0], images[1], registrar.register_impressions(*prints)
                )
                figure.savefig(out / f"{kind}_{rank:02d}.png", format="png")
                text = f"{rank}. {row['a']} × {row['b']}: score {row['scores'][NETWORK]:.3f}"
                drawn[kind].append({"image": html.embed_figure(figure, "jpeg", 62), "text": text})
                progress.advance()
    return drawn


def _counts(outcome: Outcome) -> dict[str, int]:
    genuine, impostor = (int(of.sum()) for of in _kinds(outcome))
    fingers = len({finger for pair in outcome.fingers for finger in pair})
    failed = len(outcome.faults)
    return {"fingers": fingers, "genuine": genuine, "impostor": impostor, "failed": failed}


def _score_row(row: Row, methods: list[str], heard: list[str]) -> dict[str, Any]:
    """A comparison as a line of scores.csv; empty where there is no score, or no witness."""
    scores = {name: row["scores"].get(name) for name in methods}
    rounded = {name: None if s is None else round(s, 6) for name, s in scores.items()}
    confirmed = {
        f"{name}: confirmed": round(row["witness"][name]["confirmed"], 6)
        if name in row["witness"]
        else None
        for name in heard
    }
    about = {"a": row["a"], "b": row["b"], "genuine": int(row["genuine"])}
    return {**about, **rounded, **confirmed, "fault": row["fault"]}


def _table(figures: dict[str, dict[str, float]], columns: Sequence[tuple[str, str, str]]) -> Any:
    """Headings and rows of a table; None where no method has any of its figures."""
    if not any(columns[0][0] in found for found in figures.values()):
        return None
    rows = [
        [method, *(_cell(found, name, form) for name, _, form in columns)]
        for method, found in figures.items()
    ]
    return {"headings": ["method", *(heading for _, heading, _ in columns)], "rows": rows}


def _cell(found: dict[str, float], name: str, form: str) -> str:
    """A figure with its interval."""
    middle, low, high = (found.get(f"{name}{end}", math.nan) for end in ("", "_low", "_high"))
    if math.isnan(low):
        return html.format_number(middle, form)
    return f"{form.format(middle)} ({form.format(low)}–{form.format(high)})"


def _kinds(outcome: Outcome) -> tuple[Any, Any]:
    return outcome.genuine, ~outcome.genuine


def _known(figures: dict[str, float]) -> dict[str, float | None]:
    """Figures of which those that are undefined are None."""
    return {k: round(v, 6) if math.isfinite(v) else None for k, v in figures.items()}
